#!/usr/bin/python3
"""test_languages -- 2 000 threads at once of Rust, Java and Python, with their default stacks and with unlimited ones

All 2 000 threads live until the last of them has begun, so their stacks exist at once. Each then adds its own number to a sum
under a lock, in the order in which it gets the lock; the program prints the sum. With `ulimit -s unlimited' the default stack
of glibc is 2 MiB, as Rust's own is: a slot of a stack and its guard is then a little over a multiple of 2 MiB.
"""
from app import *

THREADS = 2000
SUM = "%d threads, sum %d\n" % (THREADS, THREADS * (THREADS - 1) // 2)

RUST = r"""
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

fn main() {
    let threads: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let all = Arc::new(Barrier::new(threads));
    let sum = Arc::new(Mutex::new(0));
    let handles: Vec<_> = (0..threads).map(|number| {
        let (all, sum) = (all.clone(), sum.clone());
        thread::spawn(move || {
            all.wait();
            *sum.lock().unwrap() += number;
        })
    }).collect();
    for handle in handles {
        handle.join().unwrap();
    }
    println!("{} threads, sum {}", threads, sum.lock().unwrap());
}
"""

JAVA = r"""
import java.util.concurrent.CyclicBarrier;

public class Threads {
    static long sum;

    public static void main(String[] arguments) throws Exception {
        int count = Integer.parseInt(arguments[0]);
        CyclicBarrier all = new CyclicBarrier(count);
        Thread[] threads = new Thread[count];

        for (int i = 0; i < count; i++) {
            int number = i;
            threads[i] = new Thread(() -> {
                try {
                    all.await();
                } catch (Exception error) {
                    error.printStackTrace();
                    System.exit(1);
                }
                synchronized (all) {
                    sum += number;
                }
            });
            threads[i].start();
        }
        for (Thread thread : threads)
            thread.join();
        System.out.println(count + " threads, sum " + sum);
    }
}
"""

PROGRAM = r"""
import sys, threading

count, total, lock = int(sys.argv[1]), 0, threading.Lock()
everybody = threading.Barrier(count)

def add(number):
    global total
    everybody.wait()
    with lock:
        total += number

threads = [threading.Thread(target=add, args=(n,)) for n in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("%d threads, sum %d" % (count, total))
"""


def compiler(name):
    """Whether it is there; says so when it is not."""
    if not present(name):
        print("     not installed: %s" % PACKAGES[name])
    return present(name)


def build(words):
    done = subprocess.run(words, cwd=SCRATCH, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(done.returncode == 0, "cannot compile %s:\n%s" % (words[-1], done.stdout))


def both_stacks(argv, hubs):
    for stack in ("8192", "unlimited"):
        result = run(["/bin/sh", "-c", "ulimit -s %s && exec \"$@\"" % stack, "sh", *argv, THREADS], hubs, timeout=120,
                     threads=THREADS, kthreads=None)
        check(result.out.decode() == SUM, "with `ulimit -s %s': %s" % (stack, result.text()))


@each_way
def rust(hubs):
    if compiler("rustc"):
        if not os.path.exists(path("threads")):
            build(["rustc", "-O", "-o", path("threads"), write("threads.rs", RUST)])
        both_stacks([path("threads")], hubs)


@each_way
def java(hubs):
    if compiler("javac"):
        if not os.path.exists(path("Threads.class")):
            build(["javac", "-d", SCRATCH, write("Threads.java", JAVA)])
        both_stacks([shutil.which("java"), "-cp", SCRATCH, "Threads"], hubs)


@each_way
def python(hubs):
    both_stacks([PYTHON, write("threads.py", PROGRAM)], hubs)


needs(PYTHON)
main(400)
