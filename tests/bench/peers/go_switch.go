// go_switch -- Go: one switch between two goroutines that yield
//
//	go_switch
//
// On one CPU there is one P. Prints the processor time for one runtime.Gosched of either.
package main

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"
)

const rounds = 1000000

// cpu is the processor time of the whole process in nanoseconds.
func cpu() int64 {
	var t syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 2, uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano()
}

func yield(times int) {
	for i := 0; i < times; i++ {
		runtime.Gosched()
	}
}

func main() {
	go yield(1 << 62)
	yield(1000)
	from := cpu()
	yield(rounds)
	fmt.Printf("switch %.10g ns\n", float64(cpu()-from)/(2*rounds))
}
