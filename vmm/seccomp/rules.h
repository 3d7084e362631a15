/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that each kind of thread may make; each entry says who needs it. Compiled at build time by
 * compile.c. ALLOW(name), ALLOW_IOCTL(request), ALLOW_ARG(name, argument, value).
 */
#define RULES_ALL                                                                                                       \
	ALLOW(futex)		  /* pthread mutexes and conditions */                                                   \
	ALLOW(read)		  /* eventfds, sockets */                                                               \
	ALLOW(write)		  /* eventfds, log */                                                                   \
	ALLOW(close)		  /* connections, inodes */                                                             \
	ALLOW(mmap)		  /* malloc */                                                                          \
	ALLOW(munmap)		  /* free */                                                                            \
	ALLOW(mremap)		  /* realloc */                                                                         \
	ALLOW(mprotect)		  /* malloc's arenas grow */                                                            \
	ALLOW(brk)		  /* malloc */                                                                          \
	ALLOW(madvise)		  /* memory_discard, thread stacks */                                                   \
	ALLOW(rt_sigreturn)	  /* the vCPU kick */                                                                   \
	ALLOW(rt_sigprocmask)	  /* thread exit */                                                                     \
	ALLOW(clock_gettime)	  /* log limits, where the vDSO cannot */                                               \
	ALLOW(getpid)		  /* log lines */                                                                       \
	ALLOW(gettid)		  /* pthread_kill */                                                                    \
	ALLOW(exit)		  /* thread end */                                                                      \
	ALLOW(exit_group)	  /* process end */                                                                     \
	ALLOW(restart_syscall)	  /* after a stop */                                                                    \
	ALLOW(sched_yield)	  /* pthread */                                                                         \
	ALLOW(getrandom)	  /* rng; malloc's tcache key */

#define RULES_VCPU                                                                                                      \
	ALLOW_IOCTL(KVM_RUN)		 /* vcpu_thread */                                                               \
	ALLOW_IOCTL(KVM_SET_GSI_ROUTING) /* ioapic: a pin changes */                                                     \
	ALLOW_IOCTL(KVM_SIGNAL_MSI)	 /* ioapic: a pin is unmasked */                                                 \
	ALLOW_IOCTL(TUNSETOFFLOAD)	 /* net_activate */

#define RULES_IO                                                                                                        \
	ALLOW(epoll_wait)	/* loop_step */                                                                         \
	ALLOW(epoll_pwait)	/* loop_step, on glibcs that use it */                                                  \
	ALLOW(epoll_ctl)	/* loop_add, loop_modify, loop_remove */                                                \
	ALLOW(accept4)		/* vsock, control, console */                                                           \
	ALLOW(getsockopt)	/* visitors: who connects */                                                            \
	ALLOW(recvfrom)		/* vsock handshake, console */                                                          \
	ALLOW(recvmsg)		/* vsock data, control: descriptors */                                                  \
	ALLOW(sendto)		/* vsock pending bytes, console */                                                      \
	ALLOW(sendmsg)		/* vsock data */                                                                        \
	ALLOW(shutdown)		/* vsock half close */                                                                  \
	ALLOW_ARG(socket, 0, AF_UNIX) /* vsock: guest to host */                                                        \
	ALLOW(connect)		/* the same; only what lies in the jail can be reached */                               \
	ALLOW(io_uring_enter)	/* blk */                                                                               \
	ALLOW(timerfd_create)	/* rate_limit: a network device comes into a slot */                                    \
	ALLOW(timerfd_settime)	/* rate_limit */                                                                        \
	ALLOW(writev)		/* net: to the tap */                                                                               \
	ALLOW(tgkill)		/* vcpu_pause_all */                                                                    \
	ALLOW_IOCTL(KVM_SET_USER_MEMORY_REGION) /* control: memory */                                                           \
	ALLOW_IOCTL(KVM_IRQFD)	/* control: a device comes into a slot */                                               \
	ALLOW_IOCTL(KVM_IOEVENTFD) /* the same */                                                                       \
	ALLOW(newfstatat)	/* a disk comes into a slot */                                                          \
	ALLOW(fstat)		/* the same, on glibcs that use it */                                                   \
	ALLOW_IOCTL(BLKGETSIZE64) /* the same */                                                                        \
	ALLOW(eventfd2)		/* devices that come into slots */                                                      \
	ALLOW(fcntl)		/* control: add-share */                                                                \
	ALLOW(rt_sigaction)	/* pthread_cancel's set-up, abort */                                                    \
	ALLOW(unlink)		/* sockets at the end */

#define RULES_FS                                                                                                        \
	ALLOW(openat)		 /* lookup, reopen, create */                                                           \
	ALLOW(newfstatat)	 /* getattr */                                                                          \
	ALLOW(fstat)		 /* getattr */                                                                          \
	ALLOW(lseek)		 /* readdir, lseek */                                                                   \
	ALLOW(getdents64)	 /* readdir */                                                                          \
	ALLOW(pread64)		 /* read */                                                                             \
	ALLOW(preadv)		 /* read */                                                                             \
	ALLOW(pwrite64)		 /* write */                                                                            \
	ALLOW(pwritev)		 /* write */                                                                            \
	ALLOW(writev)		 /* libfuse */                                                                          \
	ALLOW(readlinkat)	 /* readlink */                                                                         \
	ALLOW(mknodat)		 /* mknod */                                                                            \
	ALLOW(mkdirat)		 /* mkdir */                                                                            \
	ALLOW(symlinkat)	 /* symlink */                                                                          \
	ALLOW(linkat)		 /* link */                                                                             \
	ALLOW(unlinkat)		 /* unlink, rmdir */                                                                    \
	ALLOW(renameat2)	 /* rename */                                                                           \
	ALLOW(renameat)		 /* glibc's renameat2 without flags */                                                  \
	ALLOW(fchownat)		 /* setattr */                                                                          \
	ALLOW(fchmodat)		 /* setattr */                                                                          \
	ALLOW(utimensat)	 /* setattr */                                                                          \
	ALLOW(ftruncate)	 /* setattr */                                                                          \
	ALLOW(fallocate)	 /* fallocate */                                                                        \
	ALLOW(fsync)		 /* fsync */                                                                            \
	ALLOW(fdatasync)	 /* fsync */                                                                            \
	ALLOW(fstatfs)		 /* statfs */                                                                           \
	ALLOW(copy_file_range)	 /* copy_file_range */                                                                  \
	ALLOW(setxattr)		 /* extended attributes */                                                              \
	ALLOW(getxattr)		 /* extended attributes */                                                              \
	ALLOW(listxattr)	 /* extended attributes */                                                              \
	ALLOW(removexattr)	 /* extended attributes */                                                              \
	ALLOW_IOCTL(FS_IOC_GETFLAGS) /* chattr's flags */                                                               \
	ALLOW_IOCTL(FS_IOC_FSGETXATTR) /* chattr's flags */                                                             \
	ALLOW_IOCTL(FS_IOC_SETFLAGS) /* chattr's flags */                                                               \
	ALLOW(setfsuid)		 /* become_caller */                                                                    \
	ALLOW(setfsgid)		 /* become_caller */                                                                    \
	ALLOW(umask)		 /* become_caller */                                                                    \
	ALLOW_ARG(unshare, 0, CLONE_FS) /* become_caller */                                                             \
	ALLOW_ARG(socket, 0, AF_UNIX) /* sockets */                                                             \
	ALLOW(fchmod)		 /* sockets */                                                                          \
	ALLOW(bind)		 /* sockets */                                                                          \
	ALLOW(listen)		 /* sockets */                                                                          \
	ALLOW(connect)		 /* sockets: whether anybody listens */                                                 \
	ALLOW(epoll_ctl)	 /* sockets */                                                                          \
	ALLOW(flock)		 /* locks */                                                                            \
	ALLOW(fcntl)		 /* open_share, locks */                                                                \
	ALLOW(getuid)		 /* a new FUSE session after a reset */                                                 \
	ALLOW(dup)		 /* the same */

/* What sanitizers need, in programs that are built with them (SAN=address, SAN=thread): for threads' ends, for a report. */
#define RULES_SANITIZER                                                                                                 \
	ALLOW(sigaltstack)	 /* thread end */                                                                       \
	ALLOW(rt_sigaction)	 /* the same */                                                                         \
	ALLOW(gettimeofday)	 /* ThreadSanitizer's end, which waits for reports of other threads */                  \
	ALLOW(nanosleep)	 /* the same */                                                                         \
	ALLOW(open)		 /* report: /proc/self/maps, which is not there */                                      \
	ALLOW(readlink)		 /* report: /proc/self/exe, which is not there */
