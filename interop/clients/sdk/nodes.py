"""Nodes: what they are, how they are found, and every move from enrol to active and back."""
from openstack import exceptions

from driven import refused, says


def drive(baremetal):
    # A node, by every way to find it.
    node = baremetal.create_node(
        name='sdk-1',
        driver='fake-hardware',
        driver_info={'fake_password': 'very-secret'},
        properties={'cpus': 4},
        extra={'rack': 1},
        resource_class='big',
        provision_state='enroll',
    )
    assert node.provision_state == 'enroll' and node.driver_info == {'fake_password': '******'}
    assert node.is_maintenance is False and node.power_state is None and node.traits == []
    assert baremetal.get_node('sdk-1').id == node.id == baremetal.get_node(node.id).id
    assert baremetal.find_node('sdk-1').id == node.id and baremetal.find_node('nobody') is None
    assert baremetal.get_node('sdk-1', fields=['uuid', 'name']).driver is None
    assert 'nobody' in refused(exceptions.ResourceNotFound, baremetal.get_node, 'nobody')
    assert 'sdk-1' in baremetal.conflicts('create_node', name='sdk-1', driver='fake-hardware')
    assert 'nothing' in refused(exceptions.BadRequestException, baremetal.create_node, driver='nothing')
    says('create_node, get_node, find_node')

    # The library can take a new node further at once: with manage and provide, or by asking in an old version.
    further = baremetal.create_node(name='sdk-0', driver='fake-hardware', provision_state='available')
    assert further.provision_state == 'available', further
    baremetal.delete_node(further)
    says('create_node up to available')

    # Changes.
    node = baremetal.update_node(node, extra={'rack': 2}, owner='us')
    assert node.extra == {'rack': 2} and node.owner == 'us' and node.properties == {'cpus': 4}
    node = baremetal.patch_node(node, [{'op': 'add', 'path': '/extra/more', 'value': True},
                                       {'op': 'remove', 'path': '/owner'}])
    assert node.extra == {'rack': 2, 'more': True} and node.owner is None
    refused(exceptions.BadRequestException, baremetal.patch_node, node, [{'op': 'remove', 'path': '/extra/none'}])
    says('update_node, patch_node')

    # Lists, filters and pages.
    for name in ('sdk-2', 'sdk-3', 'sdk-4'):
        baremetal.create_node(name=name, driver='fake-hardware', provision_state='enroll')
    names = ['sdk-1', 'sdk-2', 'sdk-3', 'sdk-4']
    assert [one.name for one in baremetal.nodes()] == names  # in the order of their creation
    assert [one.name for one in baremetal.nodes(limit=1)] == names  # limit is the size of a page
    assert [one.name for one in baremetal.nodes(details=True, resource_class='big')] == ['sdk-1']
    assert [one.driver for one in baremetal.nodes(fields=['uuid', 'driver'], limit=3)] == ['fake-hardware'] * 4
    assert list(baremetal.nodes(provision_state='active')) == []
    assert list(baremetal.nodes(is_maintenance=True)) == []
    says('nodes: limit, filter, fields, details')

    # Maintenance, both ways that the library has.
    node = baremetal.set_node_maintenance(node, 'new fan')
    assert node.is_maintenance is True and node.maintenance_reason == 'new fan'
    node = baremetal.unset_node_maintenance(node)
    assert node.is_maintenance is False and node.maintenance_reason is None
    node = baremetal.update_node(node, is_maintenance=True, maintenance_reason='again')
    assert baremetal.get_node(node).maintenance_reason == 'again'
    assert [one.name for one in baremetal.nodes(is_maintenance=True)] == ['sdk-1']
    node = baremetal.update_node(node, is_maintenance=False)
    assert node.is_maintenance is False and node.maintenance_reason is None
    says('maintenance')

    # From enrol to active and back.
    refused(exceptions.BadRequestException, baremetal.set_node_provision_state, node, 'active')
    node = baremetal.set_node_provision_state(node, 'manage', wait=True, timeout=60)
    assert node.provision_state == 'manageable' and node.power_state == 'power off', node
    node = baremetal.set_node_provision_state(node, 'inspect', wait=True, timeout=60)
    assert node.provision_state == 'manageable' and node.last_error is None, node
    node = baremetal.set_node_provision_state(node, 'provide', wait=True, timeout=60)
    assert node.provision_state == 'available' and node.target_provision_state is None, node
    node = baremetal.update_node(node, instance_info={'image_source': 'http://127.0.0.1/none'},
                                 instance_id='1f4ad6f0-90d2-4c0d-8c62-6e0e2a3c4b5d')
    validated = baremetal.validate_node(node)
    assert validated['power'].result is True and validated['deploy'].result is True, validated
    drive = {'meta_data': {'hostname': 'h'}, 'user_data': '#cloud-config'}
    node = baremetal.set_node_provision_state(node, 'active', config_drive=drive, wait=True, timeout=60)
    assert (node.provision_state, node.power_state, node.last_error) == ('active', 'power on', None), node
    assert [one.name for one in baremetal.nodes(associated=True)] == ['sdk-1']
    assert next(baremetal.nodes(instance_id='1f4ad6f0-90d2-4c0d-8c62-6e0e2a3c4b5d')).id == node.id
    node = baremetal.set_node_provision_state(node, 'rebuild', wait=True, timeout=60)
    assert node.provision_state == 'active', node
    baremetal.conflicts('delete_node', node)
    says('manage, inspect, provide, active, rebuild')

    # Power and boot device.
    for target, state in (('power off', 'power off'), ('power on', 'power on'), ('rebooting', 'power on'),
                          ('soft power off', 'power off'), ('soft rebooting', 'power on')):
        baremetal.set_node_power_state(node, target, wait=True, timeout=60)
        baremetal.wait_for_node_power_state(node, state, timeout=60)
        baremetal.wait_for_node_reservation(node, timeout=60)
    refused(exceptions.BadRequestException, baremetal.set_node_power_state, node, 'sideways')
    baremetal.set_node_boot_device(node, 'pxe', persistent=True)
    if baremetal.knows('get_node_boot_device'):
        assert baremetal.get_node_boot_device(node) == {'boot_device': 'pxe', 'persistent': True}
        assert 'disk' in baremetal.get_node_supported_boot_devices(node)['supported_boot_devices']
    if baremetal.knows('inject_nmi_to_node'):
        baremetal.inject_nmi_to_node(node)
    says('power, boot device')

    node = baremetal.set_node_provision_state(node, 'deleted', wait=True, timeout=60)
    assert (node.provision_state, node.instance_id, node.instance_info) == ('available', None, {}), node
    waited = baremetal.wait_for_nodes_provision_state(['sdk-1'], 'available', timeout=10)
    assert [one.id for one in waited] == [node.id]
    for name in names:
        baremetal.delete_node(name, ignore_missing=False)
    assert list(baremetal.nodes()) == []
    refused(exceptions.ResourceNotFound, baremetal.delete_node, 'sdk-1', ignore_missing=False)
    says('deleted, delete_node')
