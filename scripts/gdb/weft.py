"""weft.py -- tasks and their stacks, for gdb

    gdb -p PID -ex 'source scripts/gdb/weft.py'          or with a program and its core file

    weft-tasks [TEXT]      every task: id, state, hub, what it waits for; TEXT: only lines that hold it
    weft-bt ID|all [N]     the stack of a task, or of the first N (100) of them, alike ones told once
    weft-hubs              schedulers, their queues, and the kernel threads that run them

A task that does not run is unwound from the registers that its switch, or the signal that preempted it, left on its stack:
an unwinder makes the caller of the innermost frame what the task would go on with. Nothing in the process is changed.
Tasks are found by their table (core/task.c); the names of fields are those of core/task.h, hub.h and carrier.h.
"""
import collections
import os
import re

import gdb
import gdb.unwinder

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SAVED = ("r15", "r14", "r13", "r12", "rbx", "rbp")      # by arch_switch, above 8 bytes of control words
FRAME = ("r15", "r14", "r13", "r12", "rbx", "rbp", "r9", "r8", "r10", "rdx", "rsi", "rdi")
# struct sigcontext behind a signal frame's ucontext: uc_flags, uc_link, uc_stack come first
UCONTEXT = ("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx",
            "rsp", "rip")
UCONTEXT_REGS = 40
PREEMPT_SIZE = 16384
RED_ZONE, SLOT_SIZE, SLOT_RESUME, FRAME_SIZE = 128, 128, 112, 15 * 8
DEPTH, TASKS = 32, 100


def symbol(name, file=None):
    """A variable of the library, by name and by the file it stands in where others are called so too."""
    for found in gdb.lookup_static_symbols(name):
        if file is None or found.symtab.filename.endswith(file):
            return found.value()
    found = gdb.lookup_global_symbol(name)
    if found is None:
        raise gdb.GdbError("no symbol %s: is libweft.so loaded, and built with -g?" % name)
    return found.value()


def park_texts():
    """{number: text} of core/park.def, or of the enum's names where that file is not at hand."""
    try:
        with open(os.path.join(FOLDER, "core/park.def")) as f:
            texts = re.findall(r'^PARK\((\w+), "(.*)"\)', f.read(), re.M)
        return {"PARK_" + name: text for name, text in texts}
    except OSError:
        return {}


def park_text(task):
    names = {int(f.enumval): f.name for f in gdb.lookup_type("enum park_reason").fields()}
    name = names.get(int(task["park"]), str(int(task["park"])))
    return park_texts().get(name, name)


def memory(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def word(address):
    return int.from_bytes(memory(address, 8), "little")


def tasks():
    """Every living task, as a gdb.Value of struct task."""
    chunks = symbol("chunks", "core/task.c")
    fresh = int(symbol("fresh", "core/task.c"))
    pointer = gdb.lookup_type("struct task").pointer()
    room = chunks[0].dereference()["entry"].type.range()[1] + 1
    for first in range(0, fresh, room):
        entries = memory(int(chunks[first // room]), 8 * min(room, fresh - first))
        for at in range(0, len(entries), 8):
            entry = int.from_bytes(entries[at:at + 8], "little")
            if entry and not entry & 1:
                yield gdb.Value(entry).cast(pointer).dereference()


def hub_index(task):
    return int(task["hub"].dereference()["index"]) if int(task["hub"]) else -1


def thread_of(task):
    """The kernel thread that runs this task now, or None."""
    carrier = task["carrier"]
    if not int(task["on_cpu"]) or not int(carrier):
        return None
    tid = int(carrier.dereference()["tid"])
    return next((t for t in gdb.selected_inferior().threads() if t.ptid[1] == tid), None)


def name_of(task):
    return task["name"].string(errors="replace")


# -- registers of a task that does not run -----------------------------------------------------------

def saved_registers(task):
    """{register: value} as arch_switch left them, or None when they cannot be read."""
    sp = int(task["sp"])
    if not sp:
        return None
    registers = {name: word(sp + 8 + 8 * i) for i, name in enumerate(SAVED)}
    registers["rip"] = word(sp + 56)
    registers["rsp"] = sp + 64
    return registers


def symbol_at(address):
    words = gdb.execute("info symbol %d" % address, to_string=True).split()
    return words[0] if words else ""


def deeper(task, registers):
    """Steps through the entrances that no unwind information leads through: a new task, a preempted one."""
    name = symbol_at(registers["rip"])
    if name == "arch_enter_clone":      # never ran: a copy of its parent's frame lies at its stack pointer
        frame = registers["rsp"]
        registers = {r: word(frame + 8 * i) for i, r in enumerate(FRAME)}
        slot = word(frame + 14 * 8) & -SLOT_SIZE
        registers.update(rip=word(slot + SLOT_RESUME), rsp=frame + FRAME_SIZE + RED_ZONE)
    elif name == "arch_enter" and 0 <= int(task["sp"]) - int(task["preempt"]) < PREEMPT_SIZE:
        uc = registers["rsp"] + 16 + UCONTEXT_REGS      # it stands behind the stack that resumes it
        registers = {r: word(uc + 8 * i) for i, r in enumerate(UCONTEXT)}
    return registers


class Switched(gdb.unwinder.Unwinder):
    """While .registers is set: the innermost frame's caller has these registers."""

    def __init__(self):
        super().__init__("weft")
        self.registers = self.innermost = None

    def __call__(self, frame):
        if self.registers is None or int(frame.read_register("rsp")) != self.innermost \
                or int(frame.read_register("rip")) != self.pc:
            return None
        info = frame.create_unwind_info(FrameId(self.registers["rsp"] - 16, self.registers["rip"]))
        for name, value in self.registers.items():
            like = frame.read_register(name)
            info.add_saved_register(name, gdb.Value(value).cast(like.type))
        return info

    def backtrace(self, registers, depth):
        """Lines of the stack that goes on with these registers."""
        gdb.newest_frame().select()
        frame, skip = gdb.newest_frame(), 1         # what was inlined into the innermost function counts as frames
        while frame.type() == gdb.INLINE_FRAME:
            frame, skip = frame.older(), skip + 1
        self.innermost = int(gdb.newest_frame().read_register("rsp"))
        self.pc = int(gdb.newest_frame().read_register("rip"))
        self.registers = registers
        gdb.invalidate_cached_frames()
        try:
            text = gdb.execute("backtrace -frame-arguments scalars %d" % (depth + skip), to_string=True)
        finally:
            self.registers = None
            gdb.invalidate_cached_frames()
        lines = re.split(r"\n(?=#\d)", text.rstrip("\n"))[skip:]
        return [re.sub(r"^#(\d+) +", lambda m: "#%-2d " % (int(m.group(1)) - skip), line) for line in lines]


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = gdb.Value(sp), gdb.Value(pc)


unwinder = Switched()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)


def backtrace(task, depth):
    """Lines of a task's stack, whether it runs or not."""
    thread = thread_of(task)
    if thread:
        before = gdb.selected_thread()
        try:
            thread.switch()
            text = gdb.execute("backtrace -frame-arguments scalars %d" % depth, to_string=True)
        finally:
            before.switch()
        return text.rstrip("\n").split("\n")
    try:
        registers = saved_registers(task)
        return unwinder.backtrace(deeper(task, registers), depth) if registers else ["no registers"]
    except (gdb.error, gdb.MemoryError) as e:
        return ["cannot unwind: %s" % e]


# -- commands ------------------------------------------------------------------------------------------

def line_of(task):
    thread = thread_of(task)
    return "%10d  hub %-2d  %s%s%s" % (
        int(task["tid"]), hub_index(task), park_text(task),
        ", on kernel thread %d" % thread.ptid[1] if thread else "",
        "  \"%s\"" % name_of(task) if name_of(task) else "")


class Tasks(gdb.Command):
    """weft-tasks [TEXT]: list the tasks; with TEXT, those whose line holds it."""

    def __init__(self):
        super().__init__("weft-tasks", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        count, states = 0, collections.Counter()
        for task in tasks():
            count += 1
            states[park_text(task)] += 1
            line = line_of(task)
            if argument.strip() in line and (argument or count <= 10 * TASKS):
                print(line)
        print("%d tasks: %s" % (count, ", ".join("%d %s" % (n, s) for s, n in states.most_common())))


class Backtrace(gdb.Command):
    """weft-bt ID|all [N]: the stack of one task, or of the first N tasks; equal stacks are printed once."""

    def __init__(self):
        super().__init__("weft-bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = argument.split()
        if not words:
            raise gdb.GdbError(self.__doc__)
        if words[0] != "all":
            wanted = [t for t in tasks() if str(int(t["tid"])) == words[0]]
            if not wanted:
                raise gdb.GdbError("no task %s" % words[0])
            print(line_of(wanted[0]) + "\n" + "\n".join(backtrace(wanted[0], DEPTH)))
            return
        most, alike = int(words[1]) if len(words) > 1 else TASKS, collections.OrderedDict()
        for number, task in enumerate(tasks()):
            if number == most:
                print("... only the first %d tasks" % most)
                break
            lines = backtrace(task, DEPTH)
            shape = (park_text(task), tuple(re.findall(r"^#\d+ +(?:0x\w+ in )?([\w.:~<>]+)", "\n".join(lines), re.M)))
            alike.setdefault(shape, []).append((line_of(task), lines))
        for group in alike.values():
            print("\n" + group[0][0])
            if len(group) > 1:
                print("           and %d more like it" % (len(group) - 1))
            print("\n".join(group[0][1]))


class Hubs(gdb.Command):
    """weft-hubs: schedulers, their queues, their kernel threads."""

    def __init__(self):
        super().__init__("weft-hubs", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        hubs = symbol("hubs", "core/hub.c")
        for i in range(int(symbol("hubs_running", "core/hub.c"))):
            h = hubs[i]
            carrier = h["carrier"]
            tid = int(carrier.dereference()["tid"]) if int(carrier) else 0
            current = int(carrier.dereference()["current"]) if int(carrier) else 0
            runs = "task %d" % int(carrier.dereference()["current"].dereference()["tid"]) if current else "its loop"
            print("hub %d: kernel thread %d runs %s; %d queued, inbox %s, %d timers, %s, %d turns" % (
                i, tid, runs, int(h["queued"]), "full" if int(h["inbox"]) else "empty", int(h["timers"]["count"]),
                "asleep" if int(h["sleeping"]) else "awake", int(h["turns"])))


Tasks()
Backtrace()
Hubs()
