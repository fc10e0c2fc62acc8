// A Pub/Sub in memory: Google's own fake; the same where requests fail and answers are lost, as a seed has it; or one
// where nobody may publish. It says its address and ends with its standard input. Built without modules: GO111MODULE=off GOPATH=/usr/share/gocode go build.
package main

import (
	"context"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"strconv"
	"sync"

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

// Of the requests to publish, some fail before anything was taken, and of some the answer is lost. The first two are
// one of each, so that both happen however many messages come in a request.
type fickle struct {
	pb.PublisherServer
	mutex    sync.Mutex
	requests int
	random   *rand.Rand
}

func (f *fickle) Publish(ctx context.Context, request *pb.PublishRequest) (*pb.PublishResponse, error) {
	f.mutex.Lock()
	roll := f.random.Intn(10)
	if f.requests < 2 {
		roll = 1 - f.requests
	}
	f.requests++
	f.mutex.Unlock()
	if roll == 0 {
		return nil, status.Error(codes.Unavailable, "The service is currently unavailable.")
	}
	response, err := f.PublisherServer.Publish(ctx, request)
	if err == nil && roll == 1 {
		return nil, status.Error(codes.DeadlineExceeded, "The answer was lost.")
	}
	return response, err
}

func serve(publisher pb.PublisherServer, subscriber pb.SubscriberServer) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer()
	pb.RegisterPublisherServer(server, publisher)
	if subscriber != nil {
		pb.RegisterSubscriberServer(server, subscriber)
	}
	go server.Serve(listener)
	fmt.Println(listener.Addr())
}

func main() {
	mode := ""
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	switch mode {
	case "denied":
		serve(denied{}, nil)
	case "fickle":
		seed, err := strconv.ParseInt(os.Args[2], 10, 64)
		if err != nil {
			panic(err)
		}
		fake := pstest.NewServer()
		serve(&fickle{PublisherServer: &fake.GServer, random: rand.New(rand.NewSource(seed))}, &fake.GServer)
	default:
		fmt.Println(pstest.NewServer().Addr)
	}
	io.Copy(io.Discard, os.Stdin)
}
