// Package devices names the devices that this build has and opens them, in
// this process or in one of their own. It is the only place that knows all
// implementations; who computes with a device takes a device.Device.
package devices
