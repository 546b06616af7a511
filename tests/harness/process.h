/* SPDX-License-Identifier: BSD-3-Clause */
/* process.h - one child process that cannot outlive this one. Knows nothing of what it runs. */
#ifndef HARNESS_PROCESS_H
#define HARNESS_PROCESS_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
  const char *path;
  char *const *argv; /* argv[0] need not be the path; borrowed while process_start runs */
  int out_fd;        /* becomes its stdout and stderr */
  pid_t pid;         /* 0 = none */
  pid_t owner;       /* who may wait for it */
  pthread_t keeper;
  bool has_keeper;
};

/* Runs path with argv; every other descriptor is closed in it, and the kernel kills it when this
 * process ends. Fill the first three members. 0 or errno. Thread: any. */
int process_start(struct process *);
/* True: it ended (or was reaped) within the time; it stays to be reaped. */
bool process_ended(const struct process *, int64_t timeout_ms);
/* SIGKILL and wait. Harmless when there is none or it has ended; nothing in a forked child. */
void process_kill(struct process *);

#endif
