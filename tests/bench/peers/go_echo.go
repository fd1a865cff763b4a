// go_echo -- Go: a TCP echo server with a goroutine for each connection
//
//	go_echo [ADDRESS]       takes a free port and prints "port N"
package main

import (
	"fmt"
	"net"
	"os"
)

func serve(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 1024)
	for {
		got, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err = connection.Write(buffer[:got]); err != nil {
			return
		}
	}
}

func main() {
	address := "127.0.0.1"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	listener, err := net.Listen("tcp4", address+":0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("port %d\n", listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go serve(connection)
	}
}
