package relay

// MaxMessage bounds one message on a pipe or a gRPC stream, in bytes.
const MaxMessage = 16 << 20

// configWindow is how many codec configurations both ends of a connection remember: the sender by pointer, the
// receiver by id. One that fell out is sent again under a new id.
const configWindow = 64
