/* SPDX-License-Identifier: BSD-3-Clause */
/* forking.c - see forking.h. */
#include "behaviour/forking.h"

#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behaviour/behaviour.h"
#include "harness/util.h"

enum { LOOKS = 10 };

/* Under the thread sanitizer a child may not start threads unless this is said. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
  return "die_after_fork=0:atexit_sleep_ms=0";
}

/* A child leaks its parent's half of the client on purpose, and all that belonged to threads that
 * it has not got. */
static pid_t test_pid; /* 0: it has none */

int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
  return test_pid && getpid() != test_pid;
}

void note_test_pid(void)
{
  test_pid = getpid();
}

void child_begin(void)
{
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(CHILD_MS / 1000 + 5);
}

void must(bool holds, const char *claim)
{
  if (holds)
    return;
  fprintf(stderr, "child %d: not true: %s\n", (int)getpid(), claim);
  _exit(EXIT_FAILURE);
}

void must_end(pmx_reply *reply, pmx_status status, pmx_cause cause, const char *claim)
{
  if (pmx_reply_status(reply) != status || pmx_reply_cause(reply) != cause)
    fprintf(stderr, "child %d: %s/%s: %s\n", (int)getpid(), pmx_status_str(pmx_reply_status(reply)),
            pmx_cause_str(pmx_reply_cause(reply)), pmx_reply_error(reply));
  must(pmx_reply_status(reply) == status && pmx_reply_cause(reply) == cause, claim);
  pmx_reply_free(reply);
}

void child_get(pmx_client *client, int i)
{
  char key[32], value[VALUE_SIZE];
  pmx_call call = call_in(CHILD_MS);
  pmx_reply *reply;
  const char *text;

  snprintf(key, sizeof key, "fork:%d", i % FORK_KEYS);
  reply = pmx_do(client, &call, "GET", key, (char *)NULL);
  text = pmx_reply_str(reply, NULL);
  if (!text || strcmp(text, value_of(key, value)) != 0)
    fprintf(stderr, "GET %s gave \"%s\": %s\n", key, text ? text : "(none)",
            pmx_reply_error(reply));
  must(text && strcmp(text, value_of(key, value)) == 0, "a GET in the child has its own value");
  pmx_reply_free(reply);
}

void reap(pid_t *pid)
{
  int status = 0;

  if (!*pid)
    return;
  ck_assert_int_eq(waitpid(*pid, &status, 0), *pid);
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child %d: status 0x%x", (int)*pid,
                (unsigned)status);
  *pid = 0;
}

/* The state of a thread of this process: 'S' = it sleeps. */
static char state_of(const char *tid)
{
  char path[300], line[300] = "";
  const char *behind;
  FILE *f;

  snprintf(path, sizeof path, "/proc/self/task/%s/stat", tid);
  f = fopen(path, "r");
  if (f && !fgets(line, sizeof line, f))
    line[0] = '\0';
  if (f)
    fclose(f);
  behind = strrchr(line, ')'); /* its name may have blanks and parentheses */
  return behind && behind[1] ? behind[2] : '\0';
}

static bool others_sleep(void)
{
  DIR *dir = opendir("/proc/self/task");
  bool sleep = true;

  must(dir != NULL, "/proc can be read");
  for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
    char state = e->d_name[0] == '.' ? '\0' : state_of(e->d_name);

    sleep &= state == '\0' || state == 'S' || atol(e->d_name) == syscall(SYS_gettid);
  }
  closedir(dir);
  return sleep;
}

/* One after another is looked at: who woke meanwhile is seen the next time. */
static bool all_sleep(void *none)
{
  (void)none;
  for (int i = 0; i < LOOKS; i++) {
    if (!others_sleep())
      return false;
    sleep_ms(1);
  }
  return true;
}

void let_all_sleep(void)
{
  if (SANITIZED)
    must(wait_for(all_sleep, NULL, SOON_MS), "all other threads come to rest");
}

pid_t fork_asleep(void)
{
  let_all_sleep();
  return fork();
}

void gate_init(struct fork_gate *gate)
{
  pthread_rwlockattr_t attr;

  pthread_rwlockattr_init(&attr);
  pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&gate->lock, &attr);
  pthread_rwlockattr_destroy(&attr);
}

void gate_enter(struct fork_gate *gate, bool to_fork)
{
  if (!SANITIZED)
    return;
  if (to_fork)
    pthread_rwlock_wrlock(&gate->lock);
  else
    pthread_rwlock_rdlock(&gate->lock);
}

void gate_leave(struct fork_gate *gate)
{
  if (SANITIZED)
    pthread_rwlock_unlock(&gate->lock);
}
