// SPDX-License-Identifier: MIT

// The client of peer.c on gVisor's netstack, with segmentation and checksums left to the host:
//
//	gvisor DEVICE LOCAL out|in|rtt|connect AMOUNT ADDRESS PORT
//
// netstack's own device for descriptors offloads to sockets only, so one for TUN stands here.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/bufferv2"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/rawfile"
	"gvisor.dev/gvisor/pkg/tcpip/link/stopfd"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

const (
	mtu         = 1500
	largest     = 65535
	virtioBytes = 10
	nic         = 1
	tunCsum     = 1 // TUN_F_CSUM and TUN_F_TSO4 of linux/if_tun.h
	tunTso4     = 2
)

// ---- the device ----

type device struct {
	fd         int
	dispatcher stack.NetworkDispatcher
	stop       stopfd.StopFD // nothing stops it, but rawfile wants one
}

func attach(name string) int {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR, 0)
	if err != nil {
		log.Fatal(err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		log.Fatal(err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		log.Fatal(name, ": ", err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, tunCsum|tunTso4); err != nil {
		log.Fatal(name, ": ", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		log.Fatal(err)
	}
	return fd
}

func (d *device) MTU() uint32                      { return mtu }
func (d *device) MaxHeaderLength() uint16          { return 0 }
func (d *device) LinkAddress() tcpip.LinkAddress   { return "" }
func (d *device) IsAttached() bool                 { return d.dispatcher != nil }
func (d *device) Wait()                            {}
func (d *device) AddHeader(stack.PacketBufferPtr)  {}
func (d *device) GSOMaxSize() uint32               { return largest }
func (d *device) SupportedGSO() stack.SupportedGSO { return stack.HostGSOSupported }

func (d *device) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }

func (d *device) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload
}

func (d *device) Attach(dispatcher stack.NetworkDispatcher) {
	d.dispatcher = dispatcher
	if dispatcher != nil {
		go d.receive()
	}
}

func (d *device) receive() {
	var virtio [virtioBytes]byte
	for {
		view := bufferv2.NewViewSize(largest)
		parts := []unix.Iovec{rawfile.IovecFromBytes(virtio[:]), rawfile.IovecFromBytes(view.AsSlice())}
		n, err := rawfile.BlockingReadvUntilStopped(d.stop.EFD, d.fd, parts)
		if err != nil {
			log.Fatal(err)
		}
		view.CapLength(n - virtioBytes)
		packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: bufferv2.MakeWithView(view)})
		d.dispatcher.DeliverNetworkPacket(header.IPv4ProtocolNumber, packet)
		packet.DecRef()
	}
}

// virtioHeader asks for what the stack has left to do.
func virtioHeader(packet stack.PacketBufferPtr) [virtioBytes]byte {
	const needsCsum, tcpv4 = 1, 1
	var h [virtioBytes]byte
	gso := packet.GSOOptions
	if gso.Type == stack.GSONone || !gso.NeedsCsum {
		return h
	}
	h[0] = needsCsum
	binary.LittleEndian.PutUint16(h[2:], uint16(packet.HeaderSize()))
	binary.LittleEndian.PutUint16(h[6:], gso.L3HdrLen)
	binary.LittleEndian.PutUint16(h[8:], gso.CsumOffset)
	if uint16(packet.Data().Size()) > gso.MSS {
		h[1] = tcpv4
		binary.LittleEndian.PutUint16(h[4:], gso.MSS)
	}
	return h
}

func (d *device) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	written := 0
	for _, packet := range packets.AsSlice() {
		virtio := virtioHeader(packet)
		var room [16]unix.Iovec
		parts := append(room[:0], rawfile.IovecFromBytes(virtio[:]))
		for _, slice := range packet.AsSlices() {
			if len(slice) > 0 {
				parts = append(parts, rawfile.IovecFromBytes(slice))
			}
		}
		if err := rawfile.NonBlockingWriteIovec(d.fd, parts); err != nil {
			return written, err
		}
		written++
	}
	return written, nil
}

// ---- the stack ----

func check(err tcpip.Error) {
	if err != nil {
		log.Fatal(err)
	}
}

func newStack(name string, local tcpip.Address) *stack.Stack {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	sack := tcpip.TCPSACKEnabled(true)
	check(s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack))
	cubic := tcpip.CongestionControlOption("cubic")
	check(s.SetTransportProtocolOption(tcp.ProtocolNumber, &cubic))
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: 1 << 20, Max: 8 << 20}
	check(s.SetTransportProtocolOption(tcp.ProtocolNumber, &receive))
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4096, Default: 4 << 20, Max: 8 << 20}
	check(s.SetTransportProtocolOption(tcp.ProtocolNumber, &send))
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	check(s.SetTransportProtocolOption(tcp.ProtocolNumber, &moderate))
	stop, err := stopfd.New()
	if err != nil {
		log.Fatal(err)
	}
	check(s.CreateNIC(nic, &device{fd: attach(name), stop: stop}))
	check(s.AddProtocolAddress(nic, tcpip.ProtocolAddress{
		Protocol:          ipv4.ProtocolNumber,
		AddressWithPrefix: local.WithPrefix(),
	}, stack.AddressProperties{}))
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	return s
}

// ---- the loads ----

// request is what a connection begins with, as in peer.c.
type request struct {
	load   byte
	amount uint64
}

type client struct {
	stack *stack.Stack
	other tcpip.FullAddress
	bytes [1 << 18]byte
}

func (c *client) open(r request) net.Conn {
	conn, err := gonet.DialTCP(c.stack, c.other, ipv4.ProtocolNumber)
	if err != nil {
		log.Fatal(err)
	}
	var bytes [16]byte
	bytes[0] = r.load
	*(*uint64)(unsafe.Pointer(&bytes[8])) = r.amount
	c.write(conn, bytes[:])
	return conn
}

func (c *client) write(conn net.Conn, bytes []byte) {
	if _, err := conn.Write(bytes); err != nil {
		log.Fatal(err)
	}
}

func (c *client) read(conn net.Conn, amount uint64) {
	for amount > 0 {
		part := c.bytes[:]
		if amount < uint64(len(part)) {
			part = part[:amount]
		}
		n, err := conn.Read(part)
		if err != nil && err != io.EOF || n == 0 {
			log.Fatal("read: ", err)
		}
		amount -= uint64(n)
	}
}

func (c *client) writeAll(conn net.Conn, amount uint64) {
	for ; amount > uint64(len(c.bytes)); amount -= uint64(len(c.bytes)) {
		c.write(conn, c.bytes[:])
	}
	c.write(conn, c.bytes[:amount])
}

func (c *client) connectOnce(r request) {
	conn := c.open(r)
	c.read(conn, 1)
	conn.Close()
}

func (c *client) connect(r request) float64 {
	c.connectOnce(r)
	start := time.Now()
	for i := uint64(0); i < r.amount; i++ {
		c.connectOnce(r)
	}
	return float64(r.amount) / time.Since(start).Seconds()
}

func (c *client) run(r request) float64 {
	if r.load == 'c' {
		return c.connect(r)
	}
	conn := c.open(r)
	defer conn.Close()
	start := time.Now()
	switch r.load {
	case 'o':
		c.writeAll(conn, r.amount)
		c.read(conn, 1)
	case 'i':
		c.read(conn, r.amount)
	default:
		for i := uint64(0); i < r.amount; i++ {
			c.write(conn, c.bytes[:1])
			c.read(conn, 1)
		}
		return time.Since(start).Seconds() * 1e6 / float64(r.amount)
	}
	return float64(r.amount) * 8 / 1e9 / time.Since(start).Seconds()
}

func main() {
	if len(os.Args) != 7 {
		log.Fatal("usage: gvisor DEVICE LOCAL out|in|rtt|connect AMOUNT ADDRESS PORT")
	}
	amount, err := strconv.ParseUint(os.Args[4], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	port, err := strconv.ParseUint(os.Args[6], 10, 16)
	if err != nil {
		log.Fatal(err)
	}
	c := client{stack: newStack(os.Args[1], tcpip.Address(net.ParseIP(os.Args[2]).To4()))}
	c.other = tcpip.FullAddress{NIC: nic, Addr: tcpip.Address(net.ParseIP(os.Args[5]).To4()), Port: uint16(port)}
	for i := range c.bytes {
		c.bytes[i] = 'x'
	}
	fmt.Printf("%.2f\n", c.run(request{os.Args[3][0], amount}))
}
