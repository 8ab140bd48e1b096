"""Listens to notifications as any consumer of OpenStack does, with oslo.messaging: prints each as a line of JSON."""
import json
import sys

import oslo_messaging
from oslo_config import cfg


class Endpoint:
    def _print(self, priority, publisher_id, event_type, payload):
        print(json.dumps({"priority": priority, "publisher_id": publisher_id, "event_type": event_type,
                          "payload": payload}), flush=True)

    def info(self, ctxt, publisher_id, event_type, payload, metadata):
        self._print("info", publisher_id, event_type, payload)

    def error(self, ctxt, publisher_id, event_type, payload, metadata):
        self._print("error", publisher_id, event_type, payload)


conf = cfg.ConfigOpts()
conf([])
oslo_messaging.set_transport_defaults("ironic")
transport = oslo_messaging.get_notification_transport(conf, url=sys.argv[1])
target = oslo_messaging.Target(topic="ironic_versioned_notifications", exchange="ironic")
listener = oslo_messaging.get_notification_listener(transport, [target], [Endpoint()], executor="threading")
listener.start()
print(json.dumps({"listening": True}), flush=True)
sys.stdin.read()
listener.stop()
listener.wait()
