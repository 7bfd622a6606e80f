"""The agent's entry point: `serve` a session, work on a `job`, or print its `version`."""

import os
import sys

if not __package__:
    # Started as a folder: its own files must not be found as top-level modules, its package must.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

USAGE = """usage: device_agent serve --nonce WORD [--root PATH|auto] [--prefix PATH] [--greet-first yes]
       device_agent job FOLDER --lock-fd NUMBER
       device_agent version

serve    speak the protocol on standard input and output
  --nonce        the word that ends what precedes the protocol
  --root         fleet_root, default auto
  --prefix       put before the path of every device file (tests)
  --greet-first  greet before the nonce was read (the root twin)
job      work on the job in FOLDER, detached; --lock-fd is its lock, held
version  print the agent's digest and protocol
"""


def main(words):
    """Run one command; returns the exit code. Not argparse: that alone takes a third of the agent's start."""
    command, places, options = _parse(words)
    if command == "serve" and not places and "nonce" in options:
        from device_agent.serve import serve

        if "prefix" in options:
            os.environ["FLEET_AGENT_PREFIX"] = options["prefix"]
        return serve(options["nonce"], options.get("root", "auto"), "greet-first" in options)
    if command == "job" and len(places) == 1 and options.get("lock-fd", "").isdigit():
        from device_agent.jobs.supervisor import supervise

        return supervise(places[0], int(options["lock-fd"]))
    if command == "version" and not places and not options:
        from device_agent import PROTOCOL
        from device_agent.serve import agent_digest

        print("{} protocol {}".format(agent_digest(), PROTOCOL))
        return 0
    sys.stderr.write(USAGE)
    return 1


def _parse(words):
    """(command, other words, {option: value}); an option without a value, or an unknown one, is no command at all."""
    places, options = [], {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            places.append(word)
        elif rest and word in ("--nonce", "--root", "--prefix", "--greet-first", "--lock-fd"):
            options[word[2:]] = rest.pop(0)
        else:
            return None, [], {}
    return (places[0] if places else None), places[1:], options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
