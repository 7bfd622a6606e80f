"""The agent's entry point: `serve` a session, work on a `job`, or print its `version`."""

import os
import sys

if not __package__:
    # Started as a folder: its own files must not be found as top-level modules, its package must.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import argparse


def main(argv=None):
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="device_agent", description="Fleet's agent on a device.")
    commands = parser.add_subparsers(dest="command")
    serve = commands.add_parser("serve", help="speak the protocol on standard input and output")
    serve.add_argument("--nonce", required=True, help="the word that ends what precedes the protocol")
    serve.add_argument("--root", default="auto", help="fleet_root: a path, or auto")
    serve.add_argument("--greet-first", action="store_true", help="greet before the nonce was read (root twin)")
    serve.add_argument("--prefix", default=None, help="put before the path of every device file (tests)")
    job = commands.add_parser("job", help="work on the job in a folder, detached")
    job.add_argument("folder")
    job.add_argument("--lock-fd", type=int, required=True, help="descriptor of the folder's lock, held")
    commands.add_parser("version", help="print the agent's digest and protocol")
    options = parser.parse_args(argv)
    if options.command == "serve":
        from device_agent.serve import serve as run_serve

        if options.prefix is not None:
            os.environ["FLEET_AGENT_PREFIX"] = options.prefix
        return run_serve(options.nonce, options.root, options.greet_first)
    if options.command == "job":
        from device_agent.jobs.supervisor import supervise

        return supervise(options.folder, options.lock_fd)
    if options.command == "version":
        from device_agent import PROTOCOL
        from device_agent.serve import agent_digest

        print("{} protocol {}".format(agent_digest(), PROTOCOL))
        return 0
    parser.print_usage(sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
