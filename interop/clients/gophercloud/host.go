package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/nodes"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/ports"
)

// host takes a node through the life that Metal3's operator gives a BareMetalHost: register, inspect, prepare,
// provision, switch, deprovision, delete.
func host(ctx context.Context, client *gophercloud.ServiceClient) {
	const name, mac = "metal3~host-1", "52:54:00:ee:00:01"

	_, err := nodes.Get(ctx, client, name).Extract()
	refused("an unknown host", 404, err)
	clean := false
	node := must(nodes.Create(ctx, client, nodes.CreateOpts{
		Driver:         "fake-hardware",
		Name:           name,
		AutomatedClean: &clean,
		DriverInfo:     map[string]any{"fake_password": "very-secret"},
		Properties:     map[string]any{"capabilities": "boot_mode:uefi"},
	}).Extract())
	equal("state of a new host", node.ProvisionState, string(nodes.Enroll))
	equal("secret", node.DriverInfo["fake_password"].(string), "******")
	equal("automated_clean", *node.AutomatedClean, false)
	_, err = nodes.Create(ctx, client, nodes.CreateOpts{Driver: "fake-hardware", Name: name}).Extract()
	refused("a second host of the name", 409, err)

	// Whose MAC is it? Nobody's yet.
	byAddress := ports.ListOpts{Address: mac, Fields: []string{"node_uuid"}}
	page := must(ports.List(client, byAddress).AllPages(ctx))
	equal("ports with the MAC", len(must(ports.ExtractPorts(page))), 0)
	pxe := true
	port := must(ports.Create(ctx, client, ports.CreateOpts{NodeUUID: node.UUID, Address: mac, PXEEnabled: &pxe}).Extract())
	page = must(ports.List(client, byAddress).AllPages(ctx))
	equal("owner of the MAC", must(ports.ExtractPorts(page))[0].NodeUUID, node.UUID)

	change(ctx, client, node.UUID, nodes.ProvisionStateOpts{Target: nodes.TargetManage}, nodes.Manageable)
	change(ctx, client, node.UUID, nodes.ProvisionStateOpts{Target: nodes.TargetInspect}, nodes.Manageable)
	_, err = nodes.GetInventory(ctx, client, node.UUID).Extract()
	refused("an inventory that is not there yet", 404, err)

	firmware := must(nodes.ListFirmware(ctx, client, node.UUID).Extract())
	equal("components of firmware", len(firmware), 0)
	settings := must(nodes.ListBIOSSettings(ctx, client, node.UUID, nodes.ListBIOSSettingsOpts{Detail: true}).Extract())
	equal("BIOS settings", len(settings), 0)
	size := 100
	disks := []nodes.LogicalDisk{{SizeGB: &size, RAIDLevel: nodes.RAID1}}
	check(nodes.SetRAIDConfig(ctx, client, node.UUID, nodes.RAIDConfigOpts{LogicalDisks: disks}).ExtractErr())
	none := nodes.RAIDConfigOpts{LogicalDisks: []nodes.LogicalDisk{}}
	refused("an empty list of logical disks", 400, nodes.SetRAIDConfig(ctx, client, node.UUID, none).ExtractErr())

	change(ctx, client, node.UUID, nodes.ProvisionStateOpts{Target: nodes.TargetProvide}, nodes.Available)

	// All that a deployment needs comes in one change.
	node = must(nodes.Update(ctx, client, node.UUID, nodes.UpdateOpts{
		nodes.UpdateOperation{Op: nodes.AddOp, Path: "/instance_info/image_source", Value: "http://127.0.0.1/none"},
		nodes.UpdateOperation{Op: nodes.AddOp, Path: "/instance_info/capabilities", Value: map[string]string{"boot_option": "local"}},
		nodes.UpdateOperation{Op: nodes.ReplaceOp, Path: "/instance_uuid", Value: "1f4ad6f0-90d2-4c0d-8c62-6e0e2a3c4b5d"},
		nodes.UpdateOperation{Op: nodes.ReplaceOp, Path: "/deploy_interface", Value: "fake"},
		nodes.UpdateOperation{Op: nodes.ReplaceOp, Path: "/automated_clean", Value: true},
		nodes.UpdateOperation{Op: nodes.AddOp, Path: "/driver_info/fake_address", Value: "there"},
	}).Extract())
	equal("instance", node.InstanceUUID, "1f4ad6f0-90d2-4c0d-8c62-6e0e2a3c4b5d")
	validation := must(nodes.Validate(ctx, client, node.UUID).Extract())
	equal("validation of deploy", validation.Deploy.Result, true)
	drive := nodes.ConfigDrive{
		MetaData:    map[string]any{"hostname": "host-1"},
		NetworkData: map[string]any{},
		UserData:    "#cloud-config\n",
	}
	change(ctx, client, node.UUID, nodes.ProvisionStateOpts{Target: nodes.TargetActive, ConfigDrive: drive}, nodes.Active)

	// Power, soft first: a service that cannot says 400, and the operator switches hard.
	power(ctx, client, node.UUID, nodes.PowerStateOpts{Target: nodes.SoftPowerOff, Timeout: 60}, "power off")
	power(ctx, client, node.UUID, nodes.PowerStateOpts{Target: nodes.PowerOn}, "power on")
	power(ctx, client, node.UUID, nodes.PowerStateOpts{Target: nodes.Rebooting}, "power on")

	// A host in use goes only under maintenance.
	refused("deletion of a host in use", 409, nodes.Delete(ctx, client, node.UUID).ExtractErr())
	change(ctx, client, node.UUID, nodes.ProvisionStateOpts{Target: nodes.TargetDeleted}, nodes.Available)
	check(nodes.SetMaintenance(ctx, client, node.UUID, nodes.MaintenanceOpts{Reason: "goes away"}).ExtractErr())
	node = must(nodes.Get(ctx, client, node.UUID).Extract())
	equal("maintenance", node.Maintenance, true)
	equal("instance of a free host", node.InstanceUUID, "")
	check(nodes.UnsetMaintenance(ctx, client, node.UUID).ExtractErr())
	check(ports.Delete(ctx, client, port.UUID).ExtractErr())
	check(nodes.Delete(ctx, client, node.UUID).ExtractErr())
	_, err = nodes.Get(ctx, client, node.UUID).Extract()
	refused("a deleted host", 404, err)
	fmt.Println("the life of a BareMetalHost")
}

// change asks for a verb and waits for the state; a failure of the node ends it.
func change(ctx context.Context, client *gophercloud.ServiceClient, id string, opts nodes.ProvisionStateOpts, wanted nodes.ProvisionState) {
	check(nodes.ChangeProvisionState(ctx, client, id, opts).ExtractErr())
	check(gophercloud.WaitFor(limited(ctx), func(ctx context.Context) (bool, error) {
		node, err := nodes.Get(ctx, client, id).Extract()
		if err != nil {
			return false, err
		}
		if strings.HasSuffix(node.ProvisionState, " failed") || node.ProvisionState == "error" {
			return false, fmt.Errorf("%s: the node is in %q: %s", opts.Target, node.ProvisionState, node.LastError)
		}
		return node.ProvisionState == string(wanted) && node.TargetProvisionState == "", nil
	}))
}

func power(ctx context.Context, client *gophercloud.ServiceClient, id string, opts nodes.PowerStateOpts, wanted string) {
	check(nodes.ChangePowerState(ctx, client, id, opts).ExtractErr())
	check(gophercloud.WaitFor(limited(ctx), func(ctx context.Context) (bool, error) {
		node, err := nodes.Get(ctx, client, id).Extract()
		if err != nil {
			return false, err
		}
		return node.PowerState == wanted && node.TargetPowerState == "" && node.Reservation == "", nil
	}))
}

func limited(ctx context.Context) context.Context {
	within, cancel := context.WithTimeout(ctx, 2*time.Minute)
	context.AfterFunc(within, cancel)
	return within
}
