"""Remembers which calls of a proxy of openstacksdk were driven, and what a script of checks needs besides."""
import functools
import inspect

from openstack import exceptions, proxy


class Driven:
    """A proxy, as it is; calls that succeeded are in `driven`, calls that were refused as expected in `refused`."""

    def __init__(self, inner):
        self._inner = inner
        self.driven = set()
        self.refused = set()

    def knows(self, name):
        """Older libraries have fewer calls."""
        return hasattr(self._inner, name)

    def calls(self):
        """The names of all calls that the library's proxy of this service has, in its order."""
        found = inspect.getmembers(type(self._inner), inspect.isfunction)
        return [name for name, call in found if not name.startswith('_') and not hasattr(proxy.Proxy, name)]

    def conflicts(self, call, /, *args, **kwargs):
        """The call must be refused with 409, which the library tries again five times otherwise. Returns its text."""
        retries, self._inner.status_code_retries = self._inner.status_code_retries, 0
        try:
            return refused(exceptions.ConflictException, getattr(self, call), *args, **kwargs)
        finally:
            self._inner.status_code_retries = retries

    def __getattr__(self, name):
        member = getattr(self._inner, name)
        if not callable(member):
            return member

        @functools.wraps(member)
        def call(*args, **kwargs):
            try:
                answer = member(*args, **kwargs)
                if inspect.isgenerator(answer):
                    answer = iter(list(answer))  # lists ask as they are read
            except Exception:
                self.refused.add(name)
                raise
            self.driven.add(name)
            return answer

        return call


def says(line):
    print(line, flush=True)


def refused(kind, call, *args, **kwargs):
    """The call must end with this exception. Returns its text."""
    try:
        call(*args, **kwargs)
    except kind as error:
        return str(error)
    raise AssertionError(f'{call.__name__} was not refused')
