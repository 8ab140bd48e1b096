"""Writes the image of a whole disk. A raw one is streamed and hashed on its way; others are fetched, checked, converted."""
import base64
import hashlib
import json
import os
import ssl
import tempfile
import time
import urllib.error
import urllib.request

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ferrite_disks import Trouble, Turn, refuse_mounted, reread, run, size_of, try_run

CHUNK = 4 * 1024 * 1024
ATTEMPTS = 5
MIB = 1024 * 1024
RAW = ("raw", "iso", "gpt")
CONVERTED = ("qcow2", "vmdk", "vdi", "vhdx", "vpc", "vhd")
QCOW2 = b"QFI\xfb"


class Source:
    """An image behind a URL, read from one end to the other; a connection that breaks is made again where it broke."""

    def __init__(self, params):
        self._url = params["url"]
        self._headers = {"User-Agent": "ferrite-ansible"}
        if params["username"]:
            told = "%s:%s" % (params["username"], params["password"] or "")
            self._headers["Authorization"] = "Basic " + base64.b64encode(told.encode()).decode()
        if params["no_proxy"]:
            os.environ["no_proxy"] = params["no_proxy"]
        handlers = [urllib.request.ProxyHandler(params["proxies"] or {}),
                    urllib.request.HTTPSHandler(context=tls(params))]
        self._opener = urllib.request.build_opener(*handlers)
        self.size = None

    def chunks(self, restart):
        """Yields what comes; calls `restart` when the server cannot go on, and all comes again."""
        got, validator, attempt = 0, None, 1
        while True:
            try:
                headers = dict(self._headers)
                if got and validator:
                    headers.update({"Range": "bytes=%d-" % got, "If-Range": validator})
                with self._opener.open(urllib.request.Request(self._url, headers=headers), timeout=60) as answer:
                    if got and answer.status != 206:
                        restart()
                        got = 0
                    length = answer.headers.get("Content-Length")
                    self.size = None if length is None else got + int(length)
                    validator = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
                    while True:
                        chunk = answer.read(CHUNK)
                        if not chunk:
                            break
                        got += len(chunk)
                        yield chunk
                if self.size is None or got == self.size:
                    return
                raise ConnectionError("the transfer ended after %d of %d bytes" % (got, self.size))
            except urllib.error.HTTPError as error:
                if error.code < 500 or attempt == ATTEMPTS:
                    raise Trouble("Cannot fetch the image: the server answers %d; expected 200" % error.code)
            except (OSError, ValueError) as error:
                if attempt == ATTEMPTS or isinstance(error, ssl.SSLCertVerificationError):
                    raise Trouble("Cannot fetch the image: %s, in each of %d attempts" % (error, attempt))
            time.sleep(2 ** attempt)
            attempt += 1


def tls(params):
    context = ssl.create_default_context(cafile=params["cafile"] or None)
    if not params["validate_certs"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if params["client_cert"]:
        context.load_cert_chain(params["client_cert"], params["client_key"] or None)
    return context


class Sum:
    """The checksum of all that goes through; `algorithm:hex`, or nothing where nobody gave one."""

    def __init__(self, given):
        self._algorithm, _, self._wanted = given.partition(":")
        self.restart()

    def restart(self):
        self._hash = hashlib.new(self._algorithm) if self._wanted else None

    def update(self, chunk):
        if self._hash:
            self._hash.update(chunk)

    def check(self, count):
        if self._hash and self._hash.hexdigest() != self._wanted.lower():
            raise Trouble("Cannot use the image: its %s is %s; expected %s (%d bytes were fetched)"
                          % (self._algorithm, self._hash.hexdigest(), self._wanted, count))


def write_raw(device, source, checksum, declared):
    room = size_of(device)
    with open(device, "r+b", buffering=0) as disk:
        def restart():
            checksum.restart()
            disk.seek(0)
        written = 0
        for chunk in source.chunks(restart):
            written = disk.tell()
            if written == 0 and chunk.startswith(QCOW2):
                raise Trouble("Cannot write the image: it is qcow2 by its content and %s by image_disk_format; "
                              "expected them to agree" % (declared or "nothing"))
            if written + len(chunk) > room or (source.size or 0) > room:
                raise Trouble("Cannot write the image: it has %s bytes, and %s has %d"
                              % (source.size or "at least %d" % (written + len(chunk)), device, room))
            checksum.update(chunk)
            view = memoryview(chunk)
            while view:
                view = view[disk.write(view):]
        written = disk.tell()
        os.fsync(disk.fileno())
    checksum.check(written)
    return written


def write_converted(device, source, checksum, declared, reserve_mib):
    with tempfile.TemporaryDirectory(prefix="ferrite-", dir="/tmp") as folder:
        path = os.path.join(folder, "image")
        with open(path, "wb") as file:
            def restart():
                checksum.restart()
                file.seek(0)
                file.truncate()
            for chunk in source.chunks(restart):
                space = os.statvfs(folder)
                free = space.f_bavail * space.f_frsize + file.tell()
                if (source.size or 0) + reserve_mib * MIB > free:
                    raise Trouble("Cannot fetch the image: it has %d MiB and the ramdisk %d MiB of memory for it, of which "
                                  "%d stay free; expected a raw image, which is streamed, or a machine with more memory"
                                  % (source.size // MIB, free // MIB, reserve_mib))
                checksum.update(chunk)
                file.write(chunk)
            count = file.tell()
        checksum.check(count)
        info = json.loads(run("qemu-img", "info", "--output", "json", "-f", declared, path))
        refuse_unsafe(info, declared)
        if info["virtual-size"] > size_of(device):
            raise Trouble("Cannot write the image: its disk has %d bytes, and %s has %d"
                          % (info["virtual-size"], device, size_of(device)))
        run("qemu-img", "convert", "-f", declared, "-O", "host_device", "-n", "-t", "directsync", path, device)
        return info["virtual-size"]


def refuse_unsafe(info, declared):
    """An image must be whole in itself: one that names other files could make this machine read them."""
    data = (info.get("format-specific") or {}).get("data") or {}
    for key, what in (("backing-filename", "a backing file"), ("encrypted", "encryption")):
        if info.get(key):
            raise Trouble("Cannot use the image: it has %s; expected an image that is whole in itself" % what)
    if data.get("data-file") or data.get("extents", [{}])[1:]:
        raise Trouble("Cannot use the image: its data are in other files; expected an image that is whole in itself")


def main():
    text = {"type": "str", "default": ""}
    secret = {"type": "str", "default": "", "no_log": True}
    module = AnsibleModule(argument_spec={
        "device": {"type": "path", "required": True},
        # Signed URLs open the image to whoever reads them.
        "url": {"type": "str", "required": True, "no_log": True},
        "checksum": text, "disk_format": text, "username": text, "password": secret,
        "proxies": {"type": "dict", "default": {}}, "no_proxy": text,
        "validate_certs": {"type": "bool", "default": True}, "cafile": text, "client_cert": text,
        "client_key": {"type": "str", "default": "", "no_log": False},
        "reserve_mib": {"type": "int", "default": 10},
        "run": {"type": "int", "default": 0},
    })
    params = module.params
    device, declared = params["device"], params["disk_format"].lower()
    began = time.monotonic()
    try:
        if declared not in RAW + CONVERTED + ("",):
            raise Trouble("Cannot write the image: image_disk_format is %s; expected %s"
                          % (declared, ", ".join(RAW + CONVERTED)))
        turn = Turn(params["run"])
        refuse_mounted(device)
        source, checksum = Source(params), Sum(params["checksum"])
        # What is left of an earlier system could be found again by its signatures; with the table's copy at the end too.
        try_run("wipefs", "--all", "--force", device)
        try_run("sgdisk", "--zap-all", device)
        try:
            if declared in CONVERTED:
                size = write_converted(device, source, checksum, "vpc" if declared == "vhd" else declared,
                                       params["reserve_mib"])
            else:
                size = write_raw(device, source, checksum, declared)
        except BaseException:
            forget(device)
            raise
        # A table made for a smaller disk has its copy in the middle of this one.
        if try_run("blkid", "-p", "-o", "value", "-s", "PTTYPE", device).strip() == "gpt":
            try_run("sgdisk", "--move-second-header", device)
        reread(device)
        del turn
    except (Trouble, OSError, ValueError) as trouble:
        module.fail_json(msg=str(trouble))
    module.exit_json(changed=True, size_bytes=size, seconds=round(time.monotonic() - began, 1))


def forget(device):
    """An image that is not whole must not boot."""
    with open(device, "r+b") as disk:
        disk.write(b"\0" * MIB)
        os.fsync(disk.fileno())


if __name__ == "__main__":
    main()
