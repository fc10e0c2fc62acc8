// A Pub/Sub in memory: Google's own fake, or one where nobody may publish. It says its address and ends with its
// standard input. Built without modules: GO111MODULE=off GOPATH=/usr/share/gocode go build.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"cloud.google.com/go/pubsub/pstest"
	pb "google.golang.org/genproto/googleapis/pubsub/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type denied struct{ pb.PublisherServer }

func (denied) Publish(context.Context, *pb.PublishRequest) (*pb.PublishResponse, error) {
	return nil, status.Error(codes.PermissionDenied, "User not authorized to perform this action.")
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "denied" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		server := grpc.NewServer()
		pb.RegisterPublisherServer(server, denied{})
		go server.Serve(listener)
		fmt.Println(listener.Addr())
	} else {
		fmt.Println(pstest.NewServer().Addr)
	}
	io.Copy(io.Discard, os.Stdin)
}
