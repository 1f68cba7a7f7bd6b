//! The signal handlers of a process whose mapped pages are protected.
//!
//! The handlers make system calls by themselves, and leave `errno` as it is.
#![expect(
    unsafe_code,
    reason = "handlers change the registers of the interrupted thread"
)]

use super::page_event::PageEvent;
use super::request::{Request, request_signal};
use super::{PAGE, WINDOW};
use std::arch::asm;
use std::ffi::{c_int, c_void};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// The bit of the flags register that stops a thread after one instruction.
const TRAP_FLAG: i64 = 0x100;

/// The process that changes the protection of pages now, or 0.
static CHANGING: AtomicI32 = AtomicI32::new(0);

/// The address of the writable page, or 0.
static WRITABLE: AtomicU64 = AtomicU64::new(0);

/// The address of the instruction for which [`WRITABLE`] became writable.
static INSTRUCTION: AtomicU64 = AtomicU64::new(0);

/// The address of a second writable page, while one instruction is executed, or 0.
static BESIDE: AtomicU64 = AtomicU64::new(0);

/// The thread that executes one instruction, and has begun a change, or 0.
static STEPPING: AtomicI64 = AtomicI64::new(0);

/// The signals that the thread which executes one instruction had blocked.
static BLOCKED: AtomicU64 = AtomicU64::new(0);

/// Whether each instruction that stores is executed alone.
static STEPS_EACH_STORE: AtomicBool = AtomicBool::new(false);

/// A handler that this module has replaced.
struct Previous {
    is_known: AtomicBool,
    handler: AtomicUsize,
    flags: AtomicI32,
}

static PREVIOUS_FAULT: Previous = Previous::new();
static PREVIOUS_TRAP: Previous = Previous::new();

/// Installs the handler of requests. The first mapping installs the others.
///
/// # Errors
///
/// When the system refuses the handler.
pub(crate) fn install() -> io::Result<()> {
    set_handler(request_signal(), on_request).map(drop)
}

/// Sets whether the processes that are forked from this one execute each instruction that stores to
/// a protected page alone. No page stays writable then.
pub(crate) fn step_each_store(is_each: bool) {
    STEPS_EACH_STORE.store(is_each, Ordering::SeqCst);
}

/// Whether this is the address of a handler of this module, in this process or in its forks.
pub(crate) fn is_own_handler(address: u64) -> bool {
    let own: [InfoHandler; 3] = [on_fault, on_step, on_request];
    own.iter()
        .any(|handler| *handler as usize as u64 == address)
}

type InfoHandler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Sets a handler that runs with all signals blocked, on the alternate stack of its thread. Gives
/// the previous handler.
fn set_handler(signal: c_int, handler: InfoHandler) -> io::Result<libc::sigaction> {
    // SAFETY: zeros are a valid `sigaction`. The handler has the type that SA_SIGINFO requires. All
    // pointers are valid during the calls.
    let (result, previous) = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut previous: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigfillset(&raw mut action.sa_mask);
        let result = libc::sigaction(signal, &raw const action, &raw mut previous);
        (result, previous)
    };
    match result {
        0 => Ok(previous),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Previous {
    const fn new() -> Self {
        Self {
            is_known: AtomicBool::new(false),
            handler: AtomicUsize::new(0),
            flags: AtomicI32::new(0),
        }
    }

    /// Replaces the present handler, unless it is `handler`.
    fn replace(&self, signal: c_int, handler: InfoHandler) {
        if let Ok(previous) = set_handler(signal, handler)
            && previous.sa_sigaction != handler as libc::sighandler_t
        {
            self.handler.store(previous.sa_sigaction, Ordering::SeqCst);
            self.flags.store(previous.sa_flags, Ordering::SeqCst);
            self.is_known.store(true, Ordering::SeqCst);
        }
    }

    /// Calls the replaced handler. If there is none, restores the default action: the instruction
    /// raises the signal again, and the process dies.
    fn call(&self, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        let handler = self.handler.load(Ordering::SeqCst);
        let is_function = self.is_known.load(Ordering::SeqCst)
            && handler != libc::SIG_DFL
            && handler != libc::SIG_IGN;
        if !is_function {
            // SAFETY: the default action runs no code of this process.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
            return;
        }
        // SAFETY: the program has installed this function, with these flags, for this signal.
        unsafe {
            if self.flags.load(Ordering::SeqCst) & libc::SA_SIGINFO != 0 {
                std::mem::transmute::<usize, InfoHandler>(handler)(signal, info, context);
            } else {
                std::mem::transmute::<usize, extern "C" fn(c_int)>(handler)(signal);
            }
        }
    }
}

/// Makes a system call without the C library, which would set `errno`.
///
/// # Safety
///
/// The call must be sound with these arguments.
unsafe fn system_call(number: i64, arguments: [u64; 6]) -> i64 {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let result;
    // SAFETY: the instruction changes `rax`, `rcx` and `r11` only. The rest is up to the caller.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") fourth,
            in("r8") fifth,
            in("r9") sixth,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Announces an event. Gives whether the supervisor allows it.
fn announce(event: PageEvent) -> bool {
    let (number, arguments) = event.call();
    // SAFETY: the call changes at most the protection of a page that the program has mapped, and
    // takes away no right to read.
    unsafe { system_call(number, arguments) == 0 }
}

fn own_thread() -> i64 {
    // SAFETY: the call touches no memory.
    unsafe { system_call(libc::SYS_gettid, [0; 6]) }
}

fn own_process() -> i32 {
    // SAFETY: the call touches no memory.
    let number = unsafe { system_call(libc::SYS_getpid, [0; 6]) };
    i32::try_from(number).unwrap_or(-1)
}

/// Waits until no other thread changes the protection of pages.
fn begin_change() {
    let own = own_process();
    let mut held = 0;
    // A forked process can inherit a change that its parent had begun.
    while let Err(other) = CHANGING.compare_exchange(held, own, Ordering::SeqCst, Ordering::SeqCst)
    {
        held = if other == own { 0 } else { other };
        // SAFETY: the call touches no memory.
        unsafe { system_call(libc::SYS_sched_yield, [0; 6]) };
    }
}

fn end_change() {
    CHANGING.store(0, Ordering::SeqCst);
}

/// Protects the writable page, if there is one.
fn protect_all() {
    let writable = WRITABLE.swap(0, Ordering::SeqCst);
    if writable != 0 {
        announce(PageEvent::Protects(writable));
    }
}

/// Gives the context of the interrupted thread.
///
/// # Safety
///
/// The pointer is the third argument of a handler, and no other reference to the context exists.
unsafe fn context_of<'a>(context: *mut c_void) -> &'a mut libc::ucontext_t {
    // SAFETY: the kernel passes such a pointer to handlers with SA_SIGINFO.
    unsafe { &mut *context.cast::<libc::ucontext_t>() }
}

fn register(context: &mut libc::ucontext_t, register: c_int) -> &mut i64 {
    &mut context.uc_mcontext.gregs[register as usize]
}

/// Gives the signals that the interrupted thread blocks. The kernel uses 64 bits.
fn blocked_signals(context: &mut libc::ucontext_t) -> &mut u64 {
    // SAFETY: a `sigset_t` is aligned as, and at least as long as, the kernel's set of signals.
    unsafe { &mut *(&raw mut context.uc_sigmask).cast::<u64>() }
}

/// Handles a request of the supervisor. The interrupted call has returned without effect. Sets its
/// return value to that of the call that this handler makes.
extern "C" fn on_request(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes both pointers.
    let (value, context) = unsafe { ((*info).si_value().sival_ptr as u64, context_of(context)) };
    let names = [
        libc::REG_RDI,
        libc::REG_RSI,
        libc::REG_RDX,
        libc::REG_R10,
        libc::REG_R8,
        libc::REG_R9,
    ];
    let arguments = names.map(|name| *register(context, name) as u64);
    let result = match Request::from_value(value) {
        Some(Request::MapAt(address)) => map_at(address, arguments),
        Some(Request::Repeat(number)) => {
            begin_change();
            protect_all();
            announce(PageEvent::Closed);
            end_change();
            // SAFETY: the program itself makes this call.
            unsafe { system_call(number, arguments) }
        }
        None => return,
    };
    *register(context, libc::REG_RAX) = result;
}

fn map_at(address: u64, arguments: [u64; 6]) -> i64 {
    PREVIOUS_FAULT.replace(libc::SIGSEGV, on_fault);
    PREVIOUS_TRAP.replace(libc::SIGTRAP, on_step);
    let [_, length, protection, flags, file, offset] = arguments;
    let (read, write) = (libc::PROT_READ as u64, libc::PROT_WRITE as u64);
    let arguments = [
        address,
        length,
        protection & !write | read,
        flags | libc::MAP_FIXED_NOREPLACE as u64,
        file,
        offset,
    ];
    // SAFETY: the mapping replaces no other one. A forked process could write to the pages that
    // are writable at the fork, so it gets none.
    unsafe {
        let result = system_call(libc::SYS_mmap, arguments);
        if result > 0 {
            let advice = libc::MADV_DONTFORK as u64;
            system_call(libc::SYS_madvise, [address, length, advice, 0, 0, 0]);
        }
        result
    }
}

/// Handles a store to a protected page: makes this page writable, and protects the others.
extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid pointer.
    let address = unsafe { (*info).si_addr() } as u64;
    if !WINDOW.contains(&address) {
        return PREVIOUS_FAULT.call(signal, info, context);
    }
    let is_stepping = STEPPING.load(Ordering::SeqCst) == own_thread();
    if !is_stepping {
        begin_change();
    }
    let page = address & !(PAGE - 1);
    // SAFETY: as above; the reference ends before the previous handler runs.
    let interrupted = unsafe { context_of(context) };
    let instruction = *register(interrupted, libc::REG_RIP) as u64;
    let writable = WRITABLE.load(Ordering::SeqCst);
    // The store of one instruction can cross the border of two pages, and needs both.
    let is_crossing = writable != 0
        && writable.abs_diff(page) == PAGE
        && INSTRUCTION.load(Ordering::SeqCst) == instruction
        && BESIDE.load(Ordering::SeqCst) == 0;
    if !is_crossing {
        protect_all();
    }
    // An instruction that needs other pages besides cannot be executed.
    let is_allowed = (is_crossing || !is_stepping)
        && announce(match is_crossing {
            true => PageEvent::OpensBeside(page),
            false => PageEvent::Opens(page),
        });
    if !is_allowed {
        end_change();
        return PREVIOUS_FAULT.call(signal, info, context);
    }
    WRITABLE.store(page, Ordering::SeqCst);
    INSTRUCTION.store(instruction, Ordering::SeqCst);
    if is_crossing {
        BESIDE.store(writable, Ordering::SeqCst);
    }
    if !is_crossing && !STEPS_EACH_STORE.load(Ordering::SeqCst) {
        end_change();
    } else if !is_stepping {
        begin_step(interrupted);
    }
}

/// Lets the interrupted thread execute one instruction. Its change ends after the instruction.
fn begin_step(interrupted: &mut libc::ucontext_t) {
    STEPPING.store(own_thread(), Ordering::SeqCst);
    // Other handlers run after the instruction: they could store as well.
    let synchronous = [libc::SIGSEGV, libc::SIGTRAP, libc::SIGBUS];
    let unblocked = synchronous.map(|signal| 1_u64 << (signal - 1));
    let blocked = blocked_signals(interrupted);
    BLOCKED.store(*blocked, Ordering::SeqCst);
    *blocked = !(unblocked[0] | unblocked[1] | unblocked[2]);
    *register(interrupted, libc::REG_EFL) |= TRAP_FLAG;
}

/// Handles the end of an instruction. The thread has begun a change.
extern "C" fn on_step(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    if STEPPING.load(Ordering::SeqCst) != own_thread() {
        return PREVIOUS_TRAP.call(signal, info, context);
    }
    let beside = BESIDE.swap(0, Ordering::SeqCst);
    if beside != 0 {
        announce(PageEvent::Protects(beside));
    }
    if STEPS_EACH_STORE.load(Ordering::SeqCst) {
        protect_all();
        announce(PageEvent::Closed);
    } else {
        announce(PageEvent::Stepped(beside));
    }
    // SAFETY: the kernel passes a valid pointer.
    let interrupted = unsafe { context_of(context) };
    *register(interrupted, libc::REG_EFL) &= !TRAP_FLAG;
    *blocked_signals(interrupted) = BLOCKED.load(Ordering::SeqCst);
    STEPPING.store(0, Ordering::SeqCst);
    end_change();
}
