package main

import "encoding/binary"

// matMulInteger is an ONNX model of one operator: y s32[m,n] = x u8[m,k] times
// w s8[k,n], with w as an initializer, so that the peer may pack it before the
// clock starts. Field numbers are those of onnx.proto (IR version 8, opset 13).
func matMulInteger(m, n, k int) []byte {
	var node, graph, model, opset field
	node.bytes(1, []byte("x"))
	node.bytes(1, []byte("w"))
	node.bytes(2, []byte("y"))
	node.bytes(4, []byte("MatMulInteger"))

	w := make([]byte, k*n)
	for i := range w { // anything but constant
		w[i] = byte(i*31 + i>>8)
	}
	var weights field
	weights.varint(1, uint64(k))
	weights.varint(1, uint64(n))
	weights.varint(2, onnxInt8)
	weights.bytes(8, []byte("w"))
	weights.bytes(9, w)

	graph.bytes(1, node)
	graph.bytes(2, []byte("g"))
	graph.bytes(5, weights)
	graph.bytes(11, valueInfo("x", onnxUint8, m, k))
	graph.bytes(12, valueInfo("y", onnxInt32, m, n))

	opset.varint(2, 13)
	model.varint(1, 8)
	model.bytes(7, graph)
	model.bytes(8, opset)
	return model
}

// Element types of onnx.proto.
const (
	onnxUint8 = 2
	onnxInt8  = 3
	onnxInt32 = 6
)

func valueInfo(name string, elem uint64, dims ...int) field {
	var shape, tensor, typ, info field
	for _, d := range dims {
		var dim field
		dim.varint(1, uint64(d))
		shape.bytes(1, dim)
	}
	tensor.varint(1, elem)
	tensor.bytes(2, shape)
	typ.bytes(1, tensor)
	info.bytes(1, []byte(name))
	info.bytes(2, typ)
	return info
}

// field is a protobuf message being written.
type field []byte

func (f *field) varint(number int, v uint64) {
	*f = binary.AppendUvarint(*f, uint64(number)<<3)
	*f = binary.AppendUvarint(*f, v)
}

func (f *field) bytes(number int, b []byte) {
	*f = binary.AppendUvarint(*f, uint64(number)<<3|2)
	*f = binary.AppendUvarint(*f, uint64(len(b)))
	*f = append(*f, b...)
}
