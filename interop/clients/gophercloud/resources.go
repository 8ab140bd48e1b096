package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/allocations"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/conductors"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/drivers"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/nodes"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/ports"
)

// resources drives the calls of the library that the operator does not need.
func resources(ctx context.Context, client *gophercloud.ServiceClient, conductor string) {
	known := must(drivers.ExtractDrivers(must(drivers.ListDrivers(client, drivers.ListDriversOpts{Detail: true}).AllPages(ctx))))
	equal("drivers", len(known), 3)
	driver := must(drivers.GetDriverDetails(ctx, client, "redfish").Extract())
	equal("power of redfish", driver.DefaultPowerInterface, "redfish")
	properties := must(drivers.GetDriverProperties(ctx, client, "redfish").Extract())
	if (*properties)["redfish_address"] == nil {
		panic("redfish has no property redfish_address")
	}
	hosts := must(conductors.ExtractConductors(must(conductors.List(client, conductors.ListOpts{}).AllPages(ctx))))
	equal("conductor", hosts[0].Hostname, conductor)
	equal("conductor is alive", must(conductors.Get(ctx, client, conductor).Extract()).Alive, true)
	fmt.Println("drivers, conductors")

	node := must(nodes.Create(ctx, client, nodes.CreateOpts{Driver: "fake-hardware", Name: "go-1", ResourceClass: "big"}).Extract())
	other := must(nodes.Create(ctx, client, nodes.CreateOpts{Driver: "fake-hardware", Name: "go-2"}).Extract())
	fields := nodes.ListOpts{Fields: []string{"uuid", "name", "provision_state", "boot_interface"}}
	listed := must(nodes.ExtractNodes(must(nodes.List(client, fields).AllPages(ctx))))
	equal("nodes", len(listed), 2)
	detailed := must(nodes.ExtractNodes(must(nodes.ListDetail(client, nodes.ListOpts{ResourceClass: "big"}).AllPages(ctx))))
	equal("node of the class", detailed[0].UUID, node.UUID)
	change(ctx, client, node.UUID, nodes.ProvisionStateOpts{Target: nodes.TargetManage}, nodes.Manageable)

	devices := must(nodes.GetSupportedBootDevices(ctx, client, node.UUID).Extract())
	equal("boot from pxe", slices.Contains(devices, "pxe"), true)
	check(nodes.SetBootDevice(ctx, client, node.UUID, nodes.BootDeviceOpts{BootDevice: "pxe", Persistent: true}).ExtractErr())
	equal("boot device", must(nodes.GetBootDevice(ctx, client, node.UUID).Extract()).BootDevice, "pxe")
	check(nodes.InjectNMI(ctx, client, node.UUID).ExtractErr())
	_, err := nodes.GetBIOSSetting(ctx, client, node.UUID, "hyperthreading").Extract()
	refused("a BIOS setting that is not there", 404, err)
	fmt.Println("lists, boot device, NMI")

	port := must(ports.Create(ctx, client, ports.CreateOpts{NodeUUID: node.UUID, Address: "52:54:00:ee:00:02"}).Extract())
	port = must(ports.Update(ctx, client, port.UUID, ports.UpdateOpts{
		ports.UpdateOperation{Op: ports.ReplaceOp, Path: "/pxe_enabled", Value: false},
	}).Extract())
	equal("pxe_enabled", port.PXEEnabled, false)
	equal("port", must(ports.Get(ctx, client, port.UUID).Extract()).Address, "52:54:00:ee:00:02")
	all := must(ports.ExtractPorts(must(ports.ListDetail(client, ports.ListOpts{NodeUUID: node.UUID}).AllPages(ctx))))
	equal("ports of the node", len(all), 1)
	vif := nodes.VirtualInterfaceOpts{ID: "8a4e5d1c-90b7-4f26-8c3a-b1d2e3f40516"}
	check(nodes.AttachVirtualInterface(ctx, client, node.UUID, vif).ExtractErr())
	equal("VIFs", len(must(nodes.ListVirtualInterfaces(ctx, client, node.UUID).Extract())), 0) // noop keeps none
	check(nodes.DetachVirtualInterface(ctx, client, node.UUID, vif.ID).ExtractErr())
	check(ports.Delete(ctx, client, port.UUID).ExtractErr())
	fmt.Println("ports, VIFs")

	image := nodes.AttachVirtualMediaOpts{DeviceType: nodes.VirtualMediaCD, ImageURL: "https://images/x.iso"}
	refused("virtual media", 400, nodes.AttachVirtualMedia(ctx, client, node.UUID, image).ExtractErr())
	refused("virtual media", 400, nodes.DetachVirtualMedia(ctx, client, node.UUID, nodes.DetachVirtualMediaOpts{}).ExtractErr())
	methods := must(nodes.ListVendorPassthruMethods(ctx, client, node.UUID).Extract())
	equal("vendor methods", len(methods), 0)
	_, err = nodes.GetAllSubscriptions(ctx, client, node.UUID, nodes.CallVendorPassthruOpts{Method: "get_all_subscriptions"}).Extract()
	refused("subscriptions", 400, err)
	fmt.Println("virtual media and vendor methods: none here")

	change(ctx, client, node.UUID, nodes.ProvisionStateOpts{Target: nodes.TargetProvide}, nodes.Available)
	allocation := must(allocations.Create(ctx, client, allocations.CreateOpts{Name: "go-job", ResourceClass: "big"}).Extract())
	check(gophercloud.WaitFor(limited(ctx), func(ctx context.Context) (bool, error) {
		allocation, err = allocations.Get(ctx, client, allocation.UUID).Extract()
		return err == nil && allocation.State != string(allocations.Allocating), err
	}))
	equal("state of the allocation", allocation.State, string(allocations.Active))
	equal("node of the allocation", allocation.NodeUUID, node.UUID)
	given := must(allocations.ExtractAllocations(must(allocations.List(client, allocations.ListOpts{Node: "go-1"}).AllPages(ctx))))
	equal("allocations of the node", len(given), 1)
	check(allocations.Delete(ctx, client, allocation.UUID).ExtractErr())
	for _, one := range []*nodes.Node{node, other} {
		check(nodes.Delete(ctx, client, one.UUID).ExtractErr())
	}
	fmt.Println("allocations")
}
