/**
 * Who may call which endpoint, written down by hand from Ironic's policies and the personas of its secure RBAC; not made
 * from policies.ts, which the matrix test checks against it.
 *
 * The node of the test belongs to the project "owner" and is lent to the project "lessee"; "other" has to do with
 * neither. Allocation and runbook belong to "owner". The letters: a admin, g manager, m member, r reader, s service.
 *
 *   +  allowed; in a list the thing is shown
 *   o  allowed, but the list does not show the thing
 *   .  refused, 403
 *   -  hidden, 404: the caller may not know that there is such a thing
 *   ?  allowed as such, but not for another project: 400
 *
 * Without a token everything is 401, but for the endpoints marked "public". A word after a colon names a variant of the
 * request (test-requests.ts).
 */
export const matrix = `
                                   system  owner  lessee other
                                   amrs    agmrs  agmrs  agmrs

root.get                           public
v1.get                             public
openapi.get                        public
ramdisk.lookup                     public
ramdisk.heartbeat                  public
ramdisk.continueInspection         public
inspector.continue                 public
ramdisk.log                        public

node.list                          ++++    +++++  +++++  ooooo
node.list:otherProject             ++++    .....  .....  +++++
node.listDetail                    ++++    +++++  +++++  ooooo
node.create                        +..+    +...+  +...+  +...+
node.create:forAnother             +..+    +...+  ?...?  ?...?
node.get                           ++++    +++++  ++++-  -----
node.delete                        +...    +....  ....-  -----
node.validate                      ++.+    +++.+  ++..-  -----
node.plan                          ++.+    +++.+  ++..-  -----
node.validateByQuery               ++.+    +++.+  ++..-  -----
node.listChildren                  ++++    +++++  ++++-  -----
node.getInventory                  ++++    +++++  ....-  -----
node.states                        ++++    +++++  ++++-  -----
node.setPower                      ++.+    +++..  +++.-  -----
node.setProvision                  ++.+    +++.+  ++..-  -----
node.setProvision:cleanSteps       ++.+    +++.+  ++..-  -----
node.setProvision:serviceSteps     ++.+    +++.+  ++..-  -----
node.setProvision:runbook          ++.+    ++..+  ....-  -----
node.setRaid                       ++.+    +++.+  ....-  -----
node.setBootMode                   ++.+    +++..  +++.-  -----
node.setSecureBoot                 ++.+    +++..  +++.-  -----
node.getConsole                    ++.+    +++.+  ....-  -----
node.setConsole                    ++.+    +++.+  ....-  -----
node.setMaintenance                ++.+    +++.+  ++..-  -----
node.unsetMaintenance              ++.+    +++.+  ++..-  -----
node.getBootDevice                 ++.+    ++..+  ....-  -----
node.setBootDevice                 ++.+    ++..+  ....-  -----
node.getSupportedBootDevices       ++.+    ++..+  ....-  -----
node.injectNmi                     ++.+    ++..+  ....-  -----
node.unlock                        ++.+    ++..+  ....-  -----
node.why                           ++++    +++++  ....-  -----
event.list                         ++++    +++++  ooooo  ooooo
run.list                           ++++    +++++  ooooo  ooooo
node.takeOver                      +...    .....  .....  .....
node.listIndicators                ++++    +++++  ++++-  -----
node.getIndicator                  ++++    +++++  ++++-  -----
node.setIndicator                  ++.+    +++.+  ....-  -----
node.getVmedia                     ++++    +++++  ++++-  -----
node.attachVmedia                  ++.+    +++..  +++.-  -----
node.detachVmedia                  ++.+    +++..  +++.-  -----
node.listHistory                   ++++    +++++  ....-  -----
node.listHistoryDetail             ++++    +++++  ....-  -----
node.getHistory                    ++++    +++++  ....-  -----
node.timeline                      ++++    +++++  ....-  -----
node.listRamdiskLogs               ++++    +++++  ....-  -----
node.getRamdiskLog                 ++++    +++++  ....-  -----
node.listBios                      ++++    +++++  ++++-  -----
node.getBios                       ++++    +++++  ++++-  -----
node.listFirmware                  ++++    +++++  ++++-  -----
node.listVifs                      ++++    +++++  ++++-  -----
node.attachVif                     ++.+    +++.+  ++..-  -----
node.detachVif                     ++.+    +++.+  ++..-  -----
node.listTraits                    ++++    +++++  ++++-  -----
node.setTraits                     ++.+    ++..+  ....-  -----
node.addTrait                      ++.+    ++..+  ....-  -----
node.removeAllTraits               ++.+    ++..+  ....-  -----
node.removeTrait                   ++.+    ++..+  ....-  -----

node.update:empty                  ++.+    +++..  +++.-  -----
node.update:description            ++.+    +++..  +++.-  -----
node.update:extra                  ++.+    +++..  +++.-  -----
node.update:protected              ++.+    +++..  +++.-  -----
node.update:instanceInfo           ++.+    +++.+  ++..-  -----
node.update:instanceName           ++.+    +++.+  ++..-  -----
node.update:driverInfo             ++.+    +++.+  ....-  -----
node.update:properties             ++.+    +++.+  ....-  -----
node.update:instanceUuid           ++.+    +++.+  ....-  -----
node.update:lessee                 ++.+    +++.+  ....-  -----
node.update:networkData            ++.+    +++.+  ....-  -----
node.update:name                   ++.+    +++.+  ....-  -----
node.update:retired                ++.+    +++.+  ....-  -----
node.update:retiredReason          ++.+    +++.+  ....-  -----
node.update:driver                 ++.+    ++..+  ....-  -----
node.update:interface              ++.+    ++..+  ....-  -----
node.update:owner                  ++..    .....  ....-  -----
node.update:conductorGroup         ++..    .....  ....-  -----
node.update:parent                 ++..    .....  ....-  -----
node.update:chassis                +...    .....  ....-  -----
node.update:shard                  +...    .....  ....-  -----
node.update:disablePowerOff        +...    .....  ....-  -----
node.update:noCleaning             +...    .....  ....-  -----
node.update:cleaning               ++.+    +++..  +++.-  -----
node.update:extraAndName           ++.+    +++..  ....-  -----

node.listVendorMethods             +...    .....  ....-  -----
node.callVendorGet                 +...    .....  ....-  -----
node.callVendorGetByQuery          +...    .....  ....-  -----
node.callVendorPost                +...    .....  ....-  -----
node.callVendorPostByQuery         +...    .....  ....-  -----
node.callVendorPut                 +...    .....  ....-  -----
node.callVendorPutByQuery          +...    .....  ....-  -----
node.callVendorPatch               +...    .....  ....-  -----
node.callVendorPatchByQuery        +...    .....  ....-  -----
node.callVendorDelete              +...    .....  ....-  -----
node.callVendorDeleteByQuery       +...    .....  ....-  -----

port.list                          ++++    +++++  +++++  ooooo
port.listDetail                    ++++    +++++  +++++  ooooo
port.list:ofNode                   ++++    +++++  ++++-  -----
port.create                        +..+    ++..+  .....  .....
port.get                           ++++    +++++  ++++-  -----
port.update                        ++.+    ++..+  ....-  -----
port.delete                        +..+    ++..+  ....-  -----
node.listPorts                     ++++    +++++  ++++-  -----
node.listPortsDetail               ++++    +++++  ++++-  -----
portgroup.listPorts                ++++    +++++  ++++-  -----
portgroup.listPortsDetail          ++++    +++++  ++++-  -----
portgroup.list                     ++++    +++++  +++++  ooooo
portgroup.listDetail               ++++    +++++  +++++  ooooo
portgroup.create                   +..+    ++..+  .....  .....
portgroup.get                      ++++    +++++  ++++-  -----
portgroup.update                   ++.+    ++..+  ....-  -----
portgroup.delete                   +..+    ++..+  ....-  -----
node.listPortgroups                ++++    +++++  ++++-  -----
node.listPortgroupsDetail          ++++    +++++  ++++-  -----

volume.get                         ++++    .....  .....  .....
node.volume                        ++++    +++++  ++++-  -----
volumeConnector.list               ++++    +++++  +++++  ooooo
node.listVolumeConnectors          ++++    +++++  ++++-  -----
volumeConnector.create             ++.+    ++..+  ++...  .....
volumeConnector.get                ++++    +++++  ++++-  -----
volumeConnector.update             ++.+    +++.+  ++..-  -----
volumeConnector.delete             ++.+    ++..+  ++..-  -----
volumeTarget.list                  ++++    +++++  +++++  ooooo
node.listVolumeTargets             ++++    +++++  ++++-  -----
volumeTarget.create                ++.+    ++..+  ++...  .....
volumeTarget.get                   ++++    +++++  ++++-  -----
volumeTarget.update                ++.+    +++.+  ++..-  -----
volumeTarget.delete                ++.+    ++..+  ++..-  -----

chassis.list                       ++++    .....  .....  .....
chassis.listDetail                 ++++    .....  .....  .....
chassis.create                     +...    .....  .....  .....
chassis.get                        ++++    .....  .....  .....
chassis.update                     ++..    .....  .....  .....
chassis.delete                     +...    .....  .....  .....
chassis.listNodes                  ++++    +++++  +++++  ooooo
chassis.listNodesDetail            ++++    +++++  +++++  ooooo

driver.list                        ++++    .....  .....  .....
driver.get                         ++++    .....  .....  .....
driver.properties                  ++++    .....  .....  .....
driver.propertiesByQuery           ++++    .....  .....  .....
driver.raidProperties              ++++    .....  .....  .....
driver.listVendorMethods           +...    .....  .....  .....
driver.callVendorGet               +...    .....  .....  .....
driver.callVendorGetByQuery        +...    .....  .....  .....
driver.callVendorPost              +...    .....  .....  .....
driver.callVendorPostByQuery       +...    .....  .....  .....
driver.callVendorPut               +...    .....  .....  .....
driver.callVendorPutByQuery        +...    .....  .....  .....
driver.callVendorPatch             +...    .....  .....  .....
driver.callVendorPatchByQuery      +...    .....  .....  .....
driver.callVendorDelete            +...    .....  .....  .....
driver.callVendorDeleteByQuery     +...    .....  .....  .....

conductor.list                     ++++    .....  .....  .....
conductor.get                      ++++    .....  .....  .....
shard.list                         ++++    .....  .....  .....
settings.list                      ++++    .....  .....  .....
lease.list                         ++++    .....  .....  .....
image.list                         ++++    .....  .....  .....
event.post                         +...    .....  .....  .....

allocation.list                    ++++    +++++  ooooo  ooooo
allocation.list:otherOwner         ++++    .....  .....  +++++
allocation.create                  ++..    +++..  +++..  +++..
allocation.create:forAnother       ++..    +++..  .....  .....
allocation.get                     ++++    ++++-  -----  -----
allocation.update                  ++..    +++.-  -----  -----
allocation.delete                  ++..    +++.-  -----  -----
node.getAllocation                 ++++    ++++.  ....-  -----
node.deleteAllocation              ++..    +++..  ....-  -----

deployTemplate.list                ++++    .....  .....  .....
deployTemplate.create              +...    .....  .....  .....
deployTemplate.get                 ++++    .....  .....  .....
deployTemplate.update              +...    .....  .....  .....
deployTemplate.delete              +...    .....  .....  .....

runbook.list                       ++++    +++++  ooooo  ooooo
runbook.list:public                ++++    +++++  +++++  +++++
runbook.create                     ++.+    ++..+  ++..+  ++..+
runbook.create:public              ++.+    ??..?  ??..?  ??..?
runbook.get                        ++++    +++++  ....+  ....+
runbook.get:public                 ++++    +++++  +++++  +++++
runbook.update                     ++.+    ++..+  ....+  ....+
runbook.update:owner               ++..    .....  .....  .....
runbook.update:public              ++..    .....  .....  .....
runbook.delete                     ++.+    ++..+  ....+  ....+
runbook.listTraits                 ++++    +++++  ....+  ....+
runbook.setTraits                  ++.+    ++..+  ....+  ....+
runbook.addTrait                   ++.+    ++..+  ....+  ....+
runbook.removeAllTraits            ++.+    ++..+  ....+  ....+
runbook.removeTrait                ++.+    ++..+  ....+  ....+

inspectionRule.list                ++++    .....  .....  .....
inspectionRule.create              +...    .....  .....  .....
inspectionRule.deleteAll           +...    .....  .....  .....
inspectionRule.get                 ++++    .....  .....  .....
inspectionRule.update              +...    .....  .....  .....
inspectionRule.delete              +...    .....  .....  .....
`
