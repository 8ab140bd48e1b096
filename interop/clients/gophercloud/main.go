// Drives a bare metal service with gophercloud, the library below Terraform's provider and Metal3's operator; a check
// that fails ends it with its words. Where the service is and who we are is in the environment, as for every client of
// OpenStack. Usage: gophercloud CONDUCTOR
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/apiversions"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/httpbasic"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/noauth"
)

func main() {
	ctx := context.Background()
	client := connect(ctx)
	client.Microversion = negotiate(ctx, client)
	fmt.Println("version", client.Microversion)
	host(ctx, client)
	resources(ctx, client, os.Args[1])
}

func connect(ctx context.Context) *gophercloud.ServiceClient {
	endpoint := os.Getenv("OS_ENDPOINT") + "/v1"
	switch kind := os.Getenv("OS_AUTH_TYPE"); kind {
	case "none":
		return must(noauth.NewBareMetalNoAuth(noauth.EndpointOpts{IronicEndpoint: endpoint}))
	case "http_basic":
		return must(httpbasic.NewBareMetalHTTPBasic(httpbasic.EndpointOpts{
			IronicEndpoint:     endpoint,
			IronicUser:         os.Getenv("OS_USERNAME"),
			IronicUserPassword: os.Getenv("OS_PASSWORD"),
		}))
	case "password":
		provider := must(openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
			IdentityEndpoint: os.Getenv("OS_AUTH_URL"),
			Username:         os.Getenv("OS_USERNAME"),
			Password:         os.Getenv("OS_PASSWORD"),
			DomainID:         os.Getenv("OS_USER_DOMAIN_ID"),
			Scope:            &gophercloud.AuthScope{System: true},
		}))
		return must(openstack.NewBareMetalV1(provider, gophercloud.EndpointOpts{Region: os.Getenv("OS_REGION_NAME")}))
	default:
		panic("cannot connect: OS_AUTH_TYPE is " + kind)
	}
}

// negotiate takes the highest version that Metal3's operator knows and the service has; it refuses those below 1.89.
func negotiate(ctx context.Context, client *gophercloud.ServiceClient) string {
	root := *client
	root.ResourceBase = strings.TrimSuffix(client.ResourceBaseURL(), "v1/")
	version := must(apiversions.Get(ctx, &root, "v1").Extract())
	versions := must(apiversions.List(ctx, &root).Extract())
	equal("default version", versions.DefaultVersion.Version, version.Version)
	equal("first version", version.MinVersion, "1.1")
	_, text, _ := strings.Cut(version.Version, ".")
	highest := must(strconv.Atoi(text))
	for _, minor := range []int{110, 109, 95, 93, 89} {
		if minor <= highest {
			return "1." + strconv.Itoa(minor)
		}
	}
	panic("the service is older than 1.89: " + version.Version)
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func equal[T comparable](what string, found, expected T) {
	if found != expected {
		panic(fmt.Sprintf("%s: found %v, expected %v", what, found, expected))
	}
}

// refused expects an answer with this status. It returns the answer's words.
func refused(what string, status int, err error) string {
	if !gophercloud.ResponseCodeIs(err, status) {
		panic(fmt.Sprintf("%s: found %v, expected status %d %s", what, err, status, http.StatusText(status)))
	}
	return err.Error()
}
