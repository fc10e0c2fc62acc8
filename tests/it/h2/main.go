// An HTTPS endpoint that speaks HTTP/2, with a certificate of its own: writes the authority that signed it to the file
// that is named, says its address, and then of each request the protocol, the connection and the content type. It ends
// with its standard input. Built without modules: GO111MODULE=off go build.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func certificate(authorityFile string) tls.Certificate {
	from, until := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "longrun tests"}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	authorityKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	signed := must(x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey))
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
	if err := os.WriteFile(authorityFile, text, 0o600); err != nil {
		panic(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: until, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	bytes := must(x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), authorityKey))
	return tls.Certificate{Certificate: [][]byte{bytes}, PrivateKey: key}
}

func main() {
	config := &tls.Config{Certificates: []tls.Certificate{certificate(os.Args[1])}, NextProtos: []string{"h2", "http/1.1"}}
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Println(r.Proto, r.RemoteAddr, r.Header.Get("Content-Type"))
	})
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: handler, TLSConfig: config}
	go server.ServeTLS(listener, "", "")
	io.Copy(io.Discard, os.Stdin)
}
