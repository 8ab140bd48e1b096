"""What our modules share: who may write to the disks of this machine now, which disks there are, and how they are run."""
import fcntl
import json
import os
import signal
import subprocess
import time

# The variable is for tests on a host that is no ramdisk.
LOCK = os.environ.get("FERRITE_ANSIBLE_LOCK", "/run/ferrite-ansible.lock")
TAKE_OVER_SECONDS = 60
GIB = 1024 ** 3


class Trouble(Exception):
    """Something that a person has to hear of; the message is whole."""


class Turn:
    """The right to write to this machine's disks, for one run of a playbook.

    Runs are numbered by the conductor's lease on the node, which grows. A run that comes later ends what an earlier one
    left behind: its conductor is dead, but its module may still be writing. A run that comes too late is refused.
    """

    def __init__(self, run, path=LOCK):
        self._run = int(run)
        self._file = open(path, "a+")
        end = time.monotonic() + TAKE_OVER_SECONDS
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                self._end_older(self._holder(), time.monotonic() > end)
                time.sleep(0.2)
        if self._holder().get("run", -1) > self._run:
            raise Trouble("Cannot write to the disks: run %d of the playbook came after this one, %d"
                          % (self._holder()["run"], self._run))
        self._file.truncate(0)
        self._file.write(json.dumps({"run": self._run, "pid": os.getpid()}))
        self._file.flush()

    def _holder(self):
        self._file.seek(0)
        try:
            return json.loads(self._file.read() or "{}")
        except ValueError:
            return {}  # in mid-write; the next look finds it whole

    def _end_older(self, holder, is_late):
        if is_late or holder.get("run", -1) > self._run:
            raise Trouble("Cannot write to the disks: process %s of run %s writes to them, and this is run %d"
                          % (holder.get("pid"), holder.get("run"), self._run))
        try:
            os.kill(holder["pid"], signal.SIGKILL)
        except (KeyError, ProcessLookupError):
            pass  # about to say who it is, or gone just now


def run(*words, **more):
    """Runs a program and hands back what it printed. Raises Trouble with its last words."""
    env = dict(os.environ, LC_ALL="C")
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, **more)
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if done.returncode == 0:
        return out
    raise Trouble("%s ended with status %d: %s" % (" ".join(words), done.returncode, (err or out).strip()[-500:]))


def try_run(*words):
    """The same for what may fail; answers nothing then."""
    try:
        return run(*words)
    except (Trouble, OSError):
        return ""


COLUMNS = "KNAME,MODEL,VENDOR,SIZE,ROTA,TYPE,SERIAL,WWN,TRAN,HCTL,RO,RM"


def disks():
    """Whole disks that can be written to, in the order of their names."""
    try_run("udevadm", "settle", "--timeout=30")
    found = json.loads(run("lsblk", "-bnd", "--json", "-o", COLUMNS))["blockdevices"]
    kept = [disk for disk in found if is_disk(disk)]
    for disk in kept:
        disk["name"] = "/dev/" + disk["kname"]
        disk["udev"] = udev(disk["name"])
    return sorted(kept, key=lambda disk: disk["name"])


def is_disk(disk):
    is_other = disk["kname"].startswith(("fd", "ram", "zram", "sr", "loop"))
    return disk["type"] == "disk" and not is_other and not truth(disk["ro"]) and int(disk["size"] or 0) > 0


def udev(device):
    lines = try_run("udevadm", "info", "--query=property", "--name", device).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def truth(value):
    return str(value).strip().lower() in ("1", "true", "yes", "on")


def partitions(disk):
    """Device files of a disk's partitions."""
    name = os.path.basename(os.path.realpath(disk))
    try:
        inside = os.listdir("/sys/class/block/" + name)
    except OSError:
        return []
    return sorted("/dev/" + each for each in inside if os.path.exists("/sys/class/block/%s/partition" % each))


def size_of(device):
    with open(device, "rb") as file:
        return file.seek(0, os.SEEK_END)


def refuse_mounted(disk):
    """A disk in use is not written to."""
    names = {os.path.realpath(each) for each in [disk] + partitions(disk)}
    with open("/proc/mounts") as file:
        used = [line.split()[:2] for line in file]
    for device, where in used:
        if os.path.realpath(device) in names:
            raise Trouble("Cannot write to %s: %s is mounted at %s" % (disk, device, where))


def reread(disk):
    """Makes the kernel know the partitions that are on the disk now."""
    if not try_run("blockdev", "--rereadpt", disk):
        try_run("partx", "--update", disk)
    try_run("udevadm", "settle", "--timeout=30")
