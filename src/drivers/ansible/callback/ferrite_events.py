"""Tells Ferrite what a playbook does: one JSON object per line, on the file descriptor that FERRITE_EVENTS_FD names.

It changes nothing of what Ansible does. What a task marked no_log answered is never told.
"""
import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: ferrite_events
    type: notification
    short_description: tells Ferrite what a playbook does
    description:
      - Writes a line of JSON for each play, for each task that ends on a machine, and for the end of the playbook.
    requirements:
      - the environment variable FERRITE_EVENTS_FD
"""

LONGEST_MESSAGE = 2000


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "ferrite_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._began = {}
        self._out = None
        try:
            self._out = os.fdopen(int(os.environ["FERRITE_EVENTS_FD"]), "w", encoding="utf-8")
        except (KeyError, ValueError, OSError):
            self.disabled = True

    def v2_playbook_on_play_start(self, play):
        self._tell("play", name=play.get_name())

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._began[task._uuid] = time.monotonic()
        self._tell("task", task=task.get_name())

    def v2_playbook_on_handler_task_start(self, task):
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result):
        self._ended("ok", result)

    def v2_runner_on_skipped(self, result):
        self._ended("skipped", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._ended("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result):
        self._ended("unreachable", result)

    def v2_playbook_on_no_hosts_matched(self):
        self._tell("no hosts")

    def v2_playbook_on_stats(self, stats):
        self._tell("stats", hosts={host: stats.summarize(host) for host in stats.processed})

    def _ended(self, outcome, result):
        task = result._task
        began = self._began.get(task._uuid)
        self._tell(
            outcome,
            task=task.get_name(),
            host=result._host.get_name(),
            seconds=None if began is None else round(time.monotonic() - began, 1),
            message=explanation(result) if outcome in ("failed", "ignored", "unreachable") else None,
        )

    def _tell(self, event, **more):
        try:
            self._out.write(json.dumps({"event": event, **more}) + "\n")
            self._out.flush()
        except (OSError, ValueError):
            # Nobody listens any more; the playbook goes on.
            self.disabled = True


def explanation(result):
    """Why a task failed, in the words of its module, of the program that it ran, or of the loop's items."""
    answer = result._result
    if answer.get("_ansible_no_log") or getattr(result._task, "no_log", False) is True:
        return "the task is marked no_log, so its answer is not shown"
    texts = [answer.get("msg"), answer.get("stderr") or answer.get("module_stderr")]
    texts += [each.get("msg") for each in answer.get("results", []) if isinstance(each, dict) and each.get("failed")]
    told = [str(text).strip() for text in texts if text]
    if answer.get("module_stdout") and len(told) < 2:
        told.append(str(answer["module_stdout"]).strip())
    return "; ".join(told)[-LONGEST_MESSAGE:] or "it gave no reason"
