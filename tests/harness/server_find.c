/* SPDX-License-Identifier: BSD-3-Clause */
/* server_find.c - finds server programs and their versions. Debian's redis-check-rdb is the whole
 * server and looks only at argv[0] to know what to be. Knows nothing of running servers. */
#include "certs.h"
#include "server_impl.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_program(const char *path)
{
  struct stat st;

  return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool find_on_path(char ret[PATH_MAX], const char *name)
{
  const char *dir = getenv("PATH");

  if (strchr(name, '/')) {
    snprintf(ret, PATH_MAX, "%s", name);
    return is_program(ret);
  }
  while (dir && *dir) {
    size_t len = strcspn(dir, ":");

    snprintf(ret, PATH_MAX, "%.*s/%s", (int)len, dir, name);
    if (is_program(ret))
      return true;
    dir += len + (dir[len] == ':');
  }
  return false;
}

static void run_version(const struct server_program *p, char *out, size_t size)
{
  char version[] = "--version";
  char *argv[] = {(char *)p->argv0, version, NULL};
  struct process process = {.path = p->path, .argv = argv};
  int fds[2];
  size_t len = 0;
  ssize_t n = 1;

  out[0] = '\0';
  if (pipe2(fds, O_CLOEXEC) != 0)
    return;
  process.out_fd = fds[1];
  if (process_start(&process) != 0)
    n = 0;
  close(fds[1]);
  while (n > 0 && len < size - 1) {
    n = sock_has(fds[0], POLLIN, 5000) ? read(fds[0], out + len, size - 1 - len) : 0;
    len += n > 0 ? (size_t)n : 0;
  }
  out[len] = '\0';
  close(fds[0]);
  process_ended(&process, 1000);
  process_kill(&process);
}

bool program_named(struct server_program *p, const char *name)
{
  char text[256], kind[16], number[32];
  const char *base;

  if (!find_on_path(p->path, name))
    return false;
  base = strrchr(p->path, '/');
  base = base ? base + 1 : p->path;
  snprintf(p->argv0, sizeof(p->argv0), "%s", strstr(base, "-check-") ? "redis-server" : p->path);
  run_version(p, text, sizeof(text));
  /* "Redis server v=7.0.15 sha=…", "Valkey server v=8.0.1 sha=…" */
  if (sscanf(text, "%15s server v=%31s", kind, number) != 2)
    return false;
  snprintf(p->version, sizeof(p->version), "%s %s", kind, number);
  p->major = atoi(number);
  return true;
}

static const char *const candidates[] = {"valkey-server", "redis-server", "redis-check-rdb",
                                         "/usr/bin/redis-check-rdb"};

static bool find_default(struct server_program *p)
{
  const char *named = getenv("POOLMUX_SERVER");

  if (named && *named)
    return program_named(p, named);
  for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++)
    if (program_named(p, candidates[i]))
      return true;
  return false;
}

static pthread_once_t found_once = PTHREAD_ONCE_INIT;
static struct server_program found_program;
static bool found;

static void find_once(void)
{
  found = find_default(&found_program);
  if (!found)
    memset(&found_program, 0, sizeof(found_program));
}

bool program_default(struct server_program *ret)
{
  pthread_once(&found_once, find_once);
  *ret = found_program;
  return found;
}

bool server_available(void)
{
  pthread_once(&found_once, find_once);
  return found;
}

void server_require(const char *test)
{
  const char *named = getenv("POOLMUX_SERVER");

  if (server_available()) {
    certs_default(); /* once for all the forked tests, which start servers */
    return;
  }
  fprintf(stderr, "SKIP: %s needs a Redis or Valkey server and found none", test);
  if (named && *named)
    fprintf(stderr, ": POOLMUX_SERVER=%s is not one\n", named);
  else
    fputs(": install valkey-server, redis-server or redis-tools, or set POOLMUX_SERVER\n", stderr);
  exit(EXIT_SKIP);
}

const char *server_program_version(void)
{
  pthread_once(&found_once, find_once);
  return found_program.version;
}

int server_program_major(void)
{
  pthread_once(&found_once, find_once);
  return found_program.major;
}

void server_list_versions(FILE *out)
{
  const char *named = getenv("POOLMUX_SERVER");
  char last[PATH_MAX] = "";
  struct server_program p;

  if (named && *named && program_named(&p, named))
    fprintf(out, "%s (%s, POOLMUX_SERVER)\n", p.version, p.path);
  for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
    if (!program_named(&p, candidates[i]) || strcmp(p.path, last) == 0)
      continue;
    fprintf(out, "%s (%s)\n", p.version, p.path);
    memcpy(last, p.path, sizeof(last));
  }
}
