"""Nodes: traits, boot mode, console, VIFs, virtual media, vendor methods, firmware and inventory."""
from openstack import exceptions

from driven import refused, says


def drive(baremetal):
    node = baremetal.create_node(name='hard-1', driver='fake-hardware', provision_state='manageable')

    baremetal.set_node_traits(node, ['CUSTOM_A', 'HW_CPU_X86_VMX'])
    baremetal.add_node_trait(node, 'CUSTOM_B')
    assert sorted(baremetal.get_node(node).traits) == ['CUSTOM_A', 'CUSTOM_B', 'HW_CPU_X86_VMX']
    assert baremetal.remove_node_trait(node, 'CUSTOM_A') is not False
    refused(exceptions.ResourceNotFound, baremetal.remove_node_trait, node, 'CUSTOM_A')  # the library ignores 400 only
    refused(exceptions.BadRequestException, baremetal.add_node_trait, node, 'lower')
    baremetal.set_node_traits(node, [])
    assert baremetal.get_node(node).traits == []
    says('traits')

    baremetal.set_node_boot_mode(node, 'uefi')
    baremetal.set_node_secure_boot(node, True)
    baremetal.wait_for_node_reservation(node, timeout=60)
    refused(ValueError, baremetal.set_node_boot_mode, node, 'sideways')
    says('boot mode, secure boot')

    if baremetal.knows('enable_node_console'):
        baremetal.enable_node_console(node)
        until(lambda: baremetal.get_node(node).is_console_enabled is True)
        assert baremetal.get_node_console(node)['console_enabled'] is True
        baremetal.disable_node_console(node)
        until(lambda: baremetal.get_node(node).is_console_enabled is False)
        says('console')

    port = baremetal.create_port(node_id=node.id, address='52:54:00:dd:00:01')
    vif = '8a4e5d1c-90b7-4f26-8c3a-b1d2e3f40516'
    baremetal.attach_vif_to_node(node, vif)
    assert baremetal.list_node_vifs(node) == []  # the interface noop keeps none
    assert baremetal.detach_vif_from_node(node, vif) is True
    baremetal.delete_port(port)
    says('VIFs')

    if baremetal.knows('attach_vmedia_to_node'):
        refused(exceptions.BadRequestException, baremetal.attach_vmedia_to_node, node, 'cdrom', 'https://images/x.iso')
        refused(exceptions.BadRequestException, baremetal.detach_vmedia_from_node, node, ['cdrom'])
        says('virtual media: none here')

    assert baremetal.list_node_vendor_passthru(node) == {}
    assert baremetal.list_driver_vendor_passthru('fake-hardware') == {}
    text = refused(exceptions.BadRequestException, baremetal.call_node_vendor_passthru, node, 'POST', 'eject', {'a': 1})
    assert 'eject' in text, text
    text = refused(exceptions.BadRequestException, baremetal.call_driver_vendor_passthru, 'redfish', 'GET', 'eject')
    assert 'eject' in text, text
    says('vendor methods: none here')

    if baremetal.knows('list_node_firmware'):
        assert baremetal.list_node_firmware(node) == {'firmware': []}
    if baremetal.knows('get_node_inventory'):
        refused(exceptions.ResourceNotFound, baremetal.get_node_inventory, node)
    says('firmware, inventory: none yet')

    baremetal.delete_node(node)


def until(holds):
    """A check that comes true soon; each try asks the service."""
    for _ in range(200):
        if holds():
            return
    raise AssertionError('it did not come true')
