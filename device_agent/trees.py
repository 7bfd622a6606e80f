"""Whole folders: copied and handed to an owner."""

import os
import shutil


def copy_tree(source, target):
    """Copy a folder with modes and links; an empty `target` where there is no `source`."""
    if os.path.isdir(source):
        shutil.copytree(source, target, symlinks=True)
    else:
        os.makedirs(target)


def own_tree(folder, uid, gid):
    """Give a folder and all in it to an owner; links themselves, not what they point to."""
    os.lchown(folder, uid, gid)
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            os.lchown(os.path.join(root, name), uid, gid)
