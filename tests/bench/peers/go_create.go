// go_create -- Go: creation of a goroutine that does nothing, and the wait for its end
//
//	go_create
//
// One after another, joined by a sync.WaitGroup. Prints the processor time for one.
package main

import (
	"fmt"
	"sync"
	"syscall"
	"unsafe"
)

const count = 500000

// cpu is the processor time of the whole process in nanoseconds.
func cpu() int64 {
	var t syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 2, uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano()
}

func createAndJoin(count int) {
	var group sync.WaitGroup
	for i := 0; i < count; i++ {
		group.Add(1)
		go group.Done()
		group.Wait()
	}
}

func main() {
	createAndJoin(1000)
	from := cpu()
	createAndJoin(count)
	fmt.Printf("create_join %.10g ns\n", float64(cpu()-from)/count)
}
