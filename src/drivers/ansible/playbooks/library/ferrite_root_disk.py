"""Chooses the disk that the operating system goes to, by the node's root device hints."""
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ferrite_disks import GIB, Trouble, disks, truth

LEAST_GIB = 4


def values(disk, name):
    """What a disk has for a hint, in every spelling."""
    info = disk["udev"]
    known = {
        "name": [disk["name"]] + info.get("DEVLINKS", "").split(),
        "model": [disk["model"]],
        "vendor": [disk["vendor"]],
        "serial": [disk["serial"], info.get("ID_SERIAL_SHORT"), info.get("ID_SERIAL")],
        "wwn": [disk["wwn"], info.get("ID_WWN"), info.get("ID_WWN_WITH_EXTENSION")],
        "wwn_with_extension": [info.get("ID_WWN_WITH_EXTENSION")],
        "wwn_vendor_extension": [info.get("ID_WWN_VENDOR_EXTENSION")],
        "hctl": [disk["hctl"]],
        "by_path": ["/dev/disk/by-path/" + info["ID_PATH"]] if "ID_PATH" in info else [],
        "tran": [disk["tran"]],
    }
    if name not in known:
        names = ", ".join(sorted(list(known) + ["rotational", "size"]))
        raise Trouble("Cannot choose the root disk: there is no hint %s; expected one of %s" % (name, names))
    return [str(value).strip().lower() for value in known[name] if value]


def fits(disk, name, wanted):
    if name == "size":
        return int(disk["size"]) // GIB == int(wanted)
    if name == "rotational":
        return truth(disk["rota"]) == truth(wanted)
    return str(wanted).strip().lower() in values(disk, name)


def choose(found, hints):
    """The first disk that all hints fit; without hints the smallest that is large enough for a system."""
    if hints:
        fitting = [disk for disk in found if all(fits(disk, name, wanted) for name, wanted in hints.items())]
    else:
        large = [disk for disk in found if int(disk["size"]) >= LEAST_GIB * GIB]
        fitting = sorted(large, key=lambda disk: int(disk["size"]))
    if fitting:
        return fitting[0]
    looked = "that fits %s" % hints if hints else "of at least %d GiB" % LEAST_GIB
    shown = ["%s (%s bytes, %s, %s)" % (each["name"], each["size"], each["model"], each["serial"]) for each in found]
    raise Trouble("Looking for a root disk %s, found none among: %s" % (looked, ", ".join(shown) or "no disks"))


def main():
    module = AnsibleModule(argument_spec={"hints": {"type": "dict", "default": {}}}, supports_check_mode=True)
    try:
        chosen = choose(disks(), module.params["hints"])
    except (Trouble, ValueError) as trouble:
        module.fail_json(msg=str(trouble))
    module.exit_json(changed=False, device=chosen["name"], size_bytes=int(chosen["size"]))


if __name__ == "__main__":
    main()
