"""Drives a bare metal service with openstacksdk, as Ansible and Nova do; a check that fails ends it with its line.

Where the service is and who we are is in the environment, as for every client of OpenStack. Usage: main.py CONDUCTOR
"""
import sys
from importlib.metadata import version

import hardware
import nodes
import openstack
import resources
from driven import Driven, says

connection = openstack.connect(app_name='interop')
baremetal = Driven(connection.baremetal)

# Versions are found by the root document.
found = connection.baremetal.get_endpoint_data()
assert found.api_version is not None and found.max_microversion is not None, found
assert found.min_microversion == (1, 1), found.min_microversion
says(f'versions {found.min_microversion} to {found.max_microversion}')

nodes.drive(baremetal)
hardware.drive(baremetal)
resources.drive(baremetal, sys.argv[1])

calls = baremetal.calls()
only_refused = [name for name in calls if name in baremetal.refused - baremetal.driven]
missed = [name for name in calls if name not in baremetal.driven | baremetal.refused]
says(f'openstacksdk {version("openstacksdk")}: {len(calls)} calls of baremetal, {len(baremetal.driven)} driven')
says(f'asked, and refused for this hardware: {", ".join(only_refused) or "none"}')
says('baremetal_introspection: not driven, it is the API of ironic-inspector, another service, which Ironic replaced')
assert missed == [], f'never driven: {missed}'
