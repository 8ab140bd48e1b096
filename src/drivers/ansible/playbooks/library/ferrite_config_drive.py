"""Puts the config drive on the disk beside the image: into its partition labelled config-2, else into a new one."""
import base64
import binascii
import gzip
import os
import urllib.request

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ferrite_disks import Trouble, Turn, partitions, reread, run, size_of, try_run

MIB = 1024 * 1024
LIMIT = 64 * MIB


def load(kind, location):
    """The file system: from a URL, or from a file's text that came along."""
    if kind == "url":
        with urllib.request.urlopen(location, timeout=60) as answer:
            given = answer.read(2 * LIMIT)
    else:
        given = location.encode()
    image = unpacked(given)
    if len(image) > LIMIT:
        raise Trouble("Cannot write the config drive: it has %d bytes; expected at most %d" % (len(image), LIMIT))
    return image


def unpacked(given):
    try:
        given = base64.b64decode(b"".join(given.split()), validate=True)
    except (binascii.Error, ValueError):
        pass  # a plain file system, or a plain gzip
    return gzip.decompress(given) if given[:2] == b"\x1f\x8b" else given


def labelled(disk):
    found = [each for each in partitions(disk)
             if try_run("blkid", "-p", "-o", "value", "-s", "LABEL", each).strip().lower() == "config-2"]
    return found[0] if found else None


def created(disk):
    before = partitions(disk)
    kind = try_run("blkid", "-p", "-o", "value", "-s", "PTTYPE", disk).strip()
    if kind == "gpt":
        run("sgdisk", "--move-second-header", disk)
        run("sgdisk", "--new=0:-64MiB:0", "--change-name=0:config-2", disk)
    elif kind == "dos":
        start = (size_of(disk) - LIMIT) // MIB * MIB // 512
        run("sh", "-c", 'echo "start=%d, size=%d, type=83" | sfdisk --force --no-reread --append "$0"'
            % (start, LIMIT // 512), disk)
    else:
        raise Trouble("Cannot write the config drive: %s has %s; expected a partition table"
                      % (disk, "a table of kind " + kind if kind else "no partition table"))
    reread(disk)
    fresh = [each for each in partitions(disk) if each not in before]
    if len(fresh) != 1:
        raise Trouble("Cannot write the config drive: its new partition on %s did not show up" % disk)
    return fresh[0]


def main():
    module = AnsibleModule(argument_spec={
        "device": {"type": "path", "required": True},
        "type": {"type": "str", "choices": ["url", "content"], "required": True},
        "location": {"type": "str", "required": True, "no_log": True},
        "run": {"type": "int", "default": 0},
    })
    disk = module.params["device"]
    try:
        image = load(module.params["type"], module.params["location"])
        turn = Turn(module.params["run"])
        partition = labelled(disk) or created(disk)
        if len(image) > size_of(partition):
            raise Trouble("Cannot write the config drive: it has %d bytes, and %s has %d"
                          % (len(image), partition, size_of(partition)))
        with open(partition, "r+b") as file:
            file.write(image)
            file.flush()
            os.fsync(file.fileno())
        try_run("udevadm", "settle", "--timeout=30")
        del turn
    except (Trouble, OSError, ValueError) as trouble:
        module.fail_json(msg=str(trouble))
    module.exit_json(changed=True, partition=partition, size_bytes=len(image))


if __name__ == "__main__":
    main()
