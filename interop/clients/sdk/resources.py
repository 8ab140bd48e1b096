"""Everything besides nodes: drivers, conductors, ports, groups, chassis, volumes, allocations, and stored work."""
from openstack import exceptions

from driven import refused, says


def drive(baremetal, conductor):
    drivers(baremetal, conductor)
    node = baremetal.create_node(
        name='res-1', driver='fake-hardware', provision_state='manageable', resource_class='big'
    )
    ports(baremetal, node)
    chassis(baremetal)
    volumes(baremetal, node)
    node = baremetal.set_node_provision_state(node, 'provide', wait=True, timeout=60)
    allocations(baremetal, node)
    deploy_templates(baremetal)
    if baremetal.knows('runbooks'):
        runbooks(baremetal)
    if baremetal.knows('inspection_rules'):
        inspection_rules(baremetal)
    node = baremetal.get_node(node.id)
    if baremetal.knows('wait_for_status'):
        assert baremetal.wait_for_status(node, 'available', attribute='provision_state', wait=60).id == node.id
    baremetal.delete_node(node)
    if baremetal.knows('wait_for_delete'):
        baremetal.wait_for_delete(node, wait=60)
    says('wait_for_status, wait_for_delete')


def drivers(baremetal, conductor):
    assert sorted(driver.name for driver in baremetal.drivers()) == ['fake-hardware', 'ipmi', 'redfish']
    detailed = {driver.name: driver for driver in baremetal.drivers(details=True)}
    assert detailed['redfish'].default_power_interface == 'redfish'
    driver = baremetal.get_driver('redfish')
    assert driver.hosts == [conductor] and 'redfish' in driver.enabled_power_interfaces
    refused(exceptions.ResourceNotFound, baremetal.get_driver, 'no-such-driver')
    assert [one.hostname for one in baremetal.conductors()] == [conductor]
    detailed = baremetal.get_conductor(conductor)  # the library asks for a list with details where Ironic has none
    assert detailed.alive is True and detailed.drivers == ['fake-hardware', 'ipmi', 'redfish']
    says('drivers, conductors')


def ports(baremetal, node):
    port = baremetal.create_port(node_id=node.id, address='52:54:00:CC:00:01', extra={'a': 1})
    assert port.address == '52:54:00:cc:00:01' and port.node_id == node.id and port.is_pxe_enabled is True
    assert baremetal.get_port(port.id).extra == {'a': 1}
    assert baremetal.find_port(port.id).id == port.id and baremetal.find_port('nobody') is None
    assert [one.id for one in baremetal.ports(details=True, address='52:54:00:cc:00:01')] == [port.id]
    assert [one.id for one in baremetal.ports(node=node.id)] == [port.id]
    port = baremetal.update_port(port, extra={'b': 2}, is_pxe_enabled=False)
    assert port.extra == {'b': 2} and port.is_pxe_enabled is False
    port = baremetal.patch_port(port, [{'op': 'replace', 'path': '/address', 'value': '52:54:00:cc:00:02'}])
    assert port.address == '52:54:00:cc:00:02'
    baremetal.conflicts('create_port', node_id=node.id, address='52:54:00:cc:00:02')

    group = baremetal.create_port_group(node_id=node.id, name='bond-1', address='52:54:00:cc:00:0f')
    assert baremetal.get_port_group(group.id).name == 'bond-1'
    assert baremetal.find_port_group('bond-1').id == group.id and baremetal.find_port_group('nobody') is None
    assert [one.id for one in baremetal.port_groups(details=True, node=node.id)] == [group.id]
    assert [one.id for one in baremetal.port_groups(address='52:54:00:cc:00:0f')] == [group.id]
    group = baremetal.update_port_group(group, extra={'c': 3})
    assert group.extra == {'c': 3}
    group = baremetal.patch_port_group(group, [{'op': 'replace', 'path': '/name', 'value': 'bond-2'}])
    assert group.name == 'bond-2'
    port = baremetal.update_port(port, port_group_id=group.id)
    assert [one.id for one in baremetal.ports(portgroup=group.id)] == [port.id] and port.port_group_id == group.id

    baremetal.delete_port(port, ignore_missing=False)
    refused(exceptions.ResourceNotFound, baremetal.get_port, port.id)
    baremetal.delete_port_group(group, ignore_missing=False)
    refused(exceptions.ResourceNotFound, baremetal.get_port_group, group.id)
    says('ports, port groups')


def chassis(baremetal):
    one = baremetal.create_chassis(description='the first rack', extra={'row': 7})
    assert baremetal.get_chassis(one.id).extra == {'row': 7}
    assert baremetal.find_chassis(one.id).id == one.id
    assert [each.id for each in baremetal.chassis(details=True)] == [one.id] == [each.id for each in baremetal.chassis()]
    one = baremetal.update_chassis(one, description='other')
    assert one.description == 'other'
    one = baremetal.patch_chassis(one, [{'op': 'remove', 'path': '/extra/row'}])
    assert one.extra == {}
    baremetal.delete_chassis(one, ignore_missing=False)
    refused(exceptions.ResourceNotFound, baremetal.get_chassis, one.id)
    says('chassis')


def volumes(baremetal, node):
    one = baremetal.create_volume_connector(node_id=node.id, type='iqn', connector_id='iqn.2017-07.org.example:res-1')
    assert baremetal.get_volume_connector(one.id).type == 'iqn'
    assert baremetal.find_volume_connector(one.id).id == one.id
    assert [each.id for each in baremetal.volume_connectors(node=node.id, details=True)] == [one.id]
    one = baremetal.update_volume_connector(one, extra={'a': 1})
    assert one.extra == {'a': 1}
    one = baremetal.patch_volume_connector(one, [{'op': 'replace', 'path': '/type', 'value': 'wwnn'}])
    assert one.type == 'wwnn'
    baremetal.delete_volume_connector(one, ignore_missing=False)
    refused(exceptions.ResourceNotFound, baremetal.get_volume_connector, one.id)

    one = baremetal.create_volume_target(node_id=node.id, volume_type='iscsi', boot_index=0, volume_id='vol-1')
    assert baremetal.get_volume_target(one.id).volume_id == 'vol-1'
    assert baremetal.find_volume_target(one.id).id == one.id
    assert [each.id for each in baremetal.volume_targets(node=node.id, details=True)] == [one.id]
    one = baremetal.update_volume_target(one, boot_index=1)
    assert one.boot_index == 1
    one = baremetal.patch_volume_target(one, [{'op': 'replace', 'path': '/volume_id', 'value': 'vol-2'}])
    assert one.volume_id == 'vol-2'
    baremetal.delete_volume_target(one, ignore_missing=False)
    refused(exceptions.ResourceNotFound, baremetal.get_volume_target, one.id)
    says('volume connectors, volume targets')


def allocations(baremetal, node):
    one = baremetal.create_allocation(name='job-1', resource_class='big')
    one = baremetal.wait_for_allocation(one, timeout=60)
    assert one.node_id == node.id and one.state == 'active', one
    assert baremetal.get_allocation('job-1').id == one.id
    assert [each.id for each in baremetal.allocations(node=node.id)] == [one.id]
    assert [each.id for each in baremetal.allocations(state='error')] == []
    one = baremetal.update_allocation(one, extra={'a': 1})
    assert one.extra == {'a': 1}
    one = baremetal.patch_allocation(one, [{'op': 'replace', 'path': '/name', 'value': 'job-2'}])
    assert one.name == 'job-2'
    none = baremetal.create_allocation(resource_class='tiny')
    assert 'tiny' in refused(exceptions.SDKException, baremetal.wait_for_allocation, none, timeout=60)
    assert baremetal.wait_for_allocation(none, timeout=60, ignore_error=True).state == 'error'
    for each in (one, none):
        baremetal.delete_allocation(each, ignore_missing=False)
    refused(exceptions.ResourceNotFound, baremetal.get_allocation, one.id)
    assert baremetal.get_node(node.id).instance_id is None
    says('allocations')


def deploy_templates(baremetal):
    steps = [{'interface': 'bios', 'step': 'apply_configuration', 'args': {'settings': []}, 'priority': 150}]
    one = baremetal.create_deploy_template(name='CUSTOM_HT', steps=steps)
    assert baremetal.get_deploy_template('CUSTOM_HT').steps == steps
    assert [each.id for each in baremetal.deploy_templates(details=True)] == [one.id]
    if baremetal.knows('find_deploy_template'):
        assert baremetal.find_deploy_template('CUSTOM_HT').id == one.id
    one = baremetal.update_deploy_template(one, extra={'a': 1})
    assert one.extra == {'a': 1}
    one = baremetal.patch_deploy_template(one, [{'op': 'replace', 'path': '/name', 'value': 'CUSTOM_HT2'}])
    assert one.name == 'CUSTOM_HT2'
    baremetal.delete_deploy_template(one, ignore_missing=False)
    refused(exceptions.ResourceNotFound, baremetal.get_deploy_template, one.id)
    says('deploy templates')


def runbooks(baremetal):
    steps = [{'interface': 'management', 'step': 'reset_bmc', 'args': {}, 'order': 1}]
    one = baremetal.create_runbook(name='CUSTOM_FIX', steps=steps)
    assert baremetal.get_runbook('CUSTOM_FIX').steps == steps
    assert [each.id for each in baremetal.runbooks(details=True)] == [one.id]
    one = baremetal.update_runbook(one, extra={'a': 1})
    assert one.extra == {'a': 1}
    one = baremetal.patch_runbook(one, [{'op': 'replace', 'path': '/public', 'value': True}])
    assert one.public is True
    if baremetal.knows('set_runbook_traits'):
        baremetal.set_runbook_traits(one, ['CUSTOM_A'])
        baremetal.add_runbook_trait(one, 'CUSTOM_B')
        baremetal.remove_runbook_trait(one, 'CUSTOM_A')
        assert baremetal.get_runbook(one.id).traits == ['CUSTOM_B']
    baremetal.delete_runbook(one, ignore_missing=False)
    refused(exceptions.ResourceNotFound, baremetal.get_runbook, one.id)
    says('runbooks')


def inspection_rules(baremetal):
    actions = [{'op': 'set-attribute', 'args': {'path': '/properties/vendor', 'value': 'us'}}]
    one = baremetal.create_inspection_rule(description='vendor', priority=100, actions=actions, conditions=[])
    assert baremetal.get_inspection_rule(one.id).priority == 100
    assert [each.id for each in baremetal.inspection_rules(details=True)] == [one.id]
    one = baremetal.update_inspection_rule(one, description='other')
    assert one.description == 'other'
    one = baremetal.patch_inspection_rule(one, [{'op': 'replace', 'path': '/priority', 'value': 10}])
    assert one.priority == 10
    baremetal.delete_inspection_rule(one, ignore_missing=False)
    refused(exceptions.ResourceNotFound, baremetal.get_inspection_rule, one.id)
    says('inspection rules')
