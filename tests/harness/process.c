/* SPDX-License-Identifier: BSD-3-Clause */
/* process.c - starts, watches and reaps one child process. The death signal that ties it to us is
 * sent when the thread that forked ends, so a thread other than the main one leaves the forking to
 * a keeper thread, which lives until the child ends. */
#include "process.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_from(unsigned first)
{
#ifdef SYS_close_range
  if (syscall(SYS_close_range, first, ~0U, 0) == 0)
    return;
#endif
  for (unsigned fd = first; fd < 65536; fd++)
    close((int)fd);
}

/* Between fork and exec: async-signal-safe calls only. */
static void become(const struct process *p, pid_t parent)
{
  int null = open("/dev/null", O_RDONLY);
  sigset_t none;

  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent || null < 0)
    _exit(127);
  dup2(null, STDIN_FILENO);
  dup2(p->out_fd, STDOUT_FILENO);
  dup2(p->out_fd, STDERR_FILENO);
  close_from(STDERR_FILENO + 1);
  execv(p->path, p->argv);
  _exit(127);
}

static pid_t spawn(const struct process *p)
{
  pid_t parent = getpid(), pid = fork();

  if (pid == 0)
    become(p, parent);
  return pid;
}

struct keeper {
  const struct process *process;
  pid_t pid;
  int err;
  sem_t forked;
};

static void *keep(void *arg)
{
  struct keeper *k = arg;
  pid_t pid = spawn(k->process);
  siginfo_t info;

  k->pid = pid;
  k->err = errno;
  sem_post(&k->forked); /* *k is gone from here on */
  while (pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
    ;
  return NULL;
}

static int start_kept(struct process *p)
{
  struct keeper k = {.process = p};
  sigset_t all, old;
  int err;

  sem_init(&k.forked, 0, 0);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are not for a keeper */
  err = pthread_create(&p->keeper, NULL, keep, &k);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (!err) {
    while (sem_wait(&k.forked) != 0)
      ;
    p->pid = k.pid;
    p->has_keeper = k.pid > 0;
    if (k.pid < 0) {
      err = k.err;
      pthread_join(p->keeper, NULL);
    }
  }
  sem_destroy(&k.forked);
  return err;
}

int process_start(struct process *p)
{
  int err = 0;

  p->owner = getpid();
  p->has_keeper = false;
  if (syscall(SYS_gettid) != getpid()) {
    err = start_kept(p);
  } else {
    p->pid = spawn(p);
    if (p->pid < 0)
      err = errno;
  }
  if (err)
    p->pid = 0;
  return err;
}

bool process_ended(const struct process *p, int64_t timeout_ms)
{
  int64_t end = now_ms() + timeout_ms;

  for (;;) {
    siginfo_t info = {0};

    if (p->pid <= 0 || waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == p->pid)
      return true;
    if (now_ms() >= end)
      return false;
    sleep_ms(1);
  }
}

void process_kill(struct process *p)
{
  if (p->pid <= 0 || p->owner != getpid())
    return;
  if (!process_ended(p, 0))
    kill(p->pid, SIGKILL);
  if (p->has_keeper)
    pthread_join(p->keeper, NULL);
  while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
    ;
  p->pid = 0;
  p->has_keeper = false;
}
