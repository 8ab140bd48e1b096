"""Erases the machine's disks: what describes their content, or all of it."""
import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ferrite_disks import Trouble, Turn, disks, partitions, refuse_mounted, reread, run, size_of, try_run

MIB = 1024 * 1024


def erase_metadata(disk):
    for each in partitions(disk):
        try_run("wipefs", "--all", "--force", each)
    run("wipefs", "--all", "--force", disk)
    # Signatures that wipefs does not know, and the partition table's copy at the end.
    size = size_of(disk)
    with open(disk, "r+b") as file:
        for start in (0, max(0, size - MIB)):
            file.seek(start)
            file.write(b"\0" * min(MIB, size))
        file.flush()
        os.fsync(file.fileno())


def erase_everything(disk, passes, zeros):
    words = ["shred", "--force", "--iterations=%d" % passes] + (["--zero"] if zeros else [])
    if passes == 0 and zeros:
        words = ["blkdiscard", "--force", "--zeroout"]
    try:
        run(*(words + [disk]))
    except Trouble:
        # busybox has the short options alone.
        if words[0] != "shred":
            raise
        run(*(["shred", "-f", "-n", str(passes)] + (["-z"] if zeros else []) + [disk]))


def main():
    module = AnsibleModule(argument_spec={
        "what": {"type": "str", "choices": ["metadata", "everything"], "required": True},
        "devices": {"type": "list", "elements": "path", "default": []},
        "passes": {"type": "int", "default": 1},
        "zeros": {"type": "bool", "default": True},
        "run": {"type": "int", "default": 0},
    })
    params = module.params
    try:
        turn = Turn(params["run"])
        erased = params["devices"] or [disk["name"] for disk in disks()]
        for disk in erased:
            refuse_mounted(disk)
        for disk in erased:
            if params["what"] == "everything":
                erase_everything(disk, params["passes"], params["zeros"])
            erase_metadata(disk)
            reread(disk)
        del turn
    except (Trouble, OSError) as trouble:
        module.fail_json(msg=str(trouble))
    module.exit_json(changed=True, devices=erased)


if __name__ == "__main__":
    main()
