/* SPDX-License-Identifier: BSD-3-Clause */
/* server.c - the life of a private real server: arguments, ports, start, readiness, stop, kill,
 * restart, pause. Knows nothing of the library. */
#include "certs.h"
#include "server_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ARGV = 96, START_BOUND_MS = 15000, STOP_BOUND_MS = 3000 };

struct arguments {
  const char *argv[MAX_ARGV];
  int argc;
  char port[8], tls_port[8];
};

static void add(struct arguments *a, const char *name, const char *value)
{
  if (a->argc + 3 > MAX_ARGV)
    harness_die("server_start: too many arguments");
  a->argv[a->argc++] = name;
  if (value)
    a->argv[a->argc++] = value;
  a->argv[a->argc] = NULL;
}

static void add_tls(struct server *s, struct arguments *a)
{
  const struct cert_set *usual = certs_default();
  bool given = s->options.tls_cert != NULL;

  if (!s->tls_port)
    return;
  snprintf(a->tls_port, sizeof(a->tls_port), "%u", s->tls_port);
  add(a, "--tls-port", a->tls_port);
  add(a, "--tls-cert-file", given ? s->options.tls_cert : cert_chain_file(usual->server));
  add(a, "--tls-key-file", given ? s->options.tls_key : cert_key_file(usual->server));
  add(a, "--tls-ca-cert-file", s->options.tls_ca ? s->options.tls_ca : cert_file(usual->ca));
  add(a, "--tls-auth-clients", s->options.tls_clients ? s->options.tls_clients : "no");
}

static void fill_arguments(struct server *s, struct arguments *a)
{
  static const char *const fixed[] = {
      "--bind", "127.0.0.1",        "--save", "",     "--appendonly", "no", "--daemonize",
      "no",     "--protected-mode", "yes",    "--hz", "100" /* SIGTERM is seen by the 100 Hz tick */
  };

  a->argc = 0;
  add(a, s->program.argv0, NULL);
  for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i += 2)
    add(a, fixed[i], fixed[i + 1]);
  snprintf(a->port, sizeof(a->port), "%u", s->port);
  add(a, "--port", a->port);
  add(a, "--dir", s->dir);
  add(a, "--unixsocket", s->path);
  if (s->program.major >= 7)
    add(a, "--enable-debug-command", "local");
  if (s->options.password && !s->options.user)
    add(a, "--requirepass", s->options.password);
  add_tls(s, a);
  for (const char *const *more = s->options.config; more && *more; more++)
    add(a, *more, NULL);
}

static void choose_ports(struct server *s)
{
  unsigned listen = s->options.listen ? s->options.listen : SERVER_TCP | SERVER_TLS;

  s->port = listen & SERVER_TCP ? sock_free_port() : 0;
  s->tls_port = listen & SERVER_TLS ? sock_free_port() : 0;
  snprintf(s->url[0], SOCK_URL_SIZE, "redis://127.0.0.1:%u", s->port);
  snprintf(s->url[1], SOCK_URL_SIZE, "unix://%s", s->path);
  snprintf(s->url[2], SOCK_URL_SIZE, "rediss://127.0.0.1:%u", s->tls_port);
}

static bool launch(struct server *s)
{
  struct arguments a;
  int err;

  fill_arguments(s, &a);
  unlink(s->path); /* one left by a killed server would be taken for the new one's */
  s->process.path = s->program.path;
  s->process.argv = (char *const *)a.argv;
  s->process.out_fd = open(s->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (s->process.out_fd < 0)
    return false;
  err = process_start(&s->process);
  close(s->process.out_fd);
  return err == 0;
}

/* 1 = ready, 0 = its port is taken, -1 = failed. */
static int wait_ready(struct server *s)
{
  int64_t end = now_ms() + START_BOUND_MS;
  char log[8192] = "";
  FILE *f;

  while (now_ms() < end && !process_ended(&s->process, 0)) {
    int ready = admin_ready(s);

    if (ready != 0)
      return ready;
    sleep_ms(1);
  }
  f = fopen(s->log, "re");
  if (f) {
    log[fread(log, 1, sizeof(log) - 1, f)] = '\0';
    fclose(f);
  }
  return strstr(log, "already in use") ? 0 : -1;
}

static void print_log(const struct server *s)
{
  char line[1024];
  FILE *f = fopen(s->log, "re");

  fprintf(stderr, "harness: %s did not start; its log:\n", s->program.path);
  while (f && fgets(line, sizeof(line), f))
    fprintf(stderr, "  %s", line);
  if (f)
    fclose(f);
}

/* With ports of its own choice, or (fixed) at those it had. */
static bool bring_up(struct server *s, bool fixed)
{
  enum { TRIES = 20 };
  int ready = 0;

  for (int i = 0; i < TRIES && ready == 0; i++) {
    if (!fixed)
      choose_ports(s);
    else if (i > 0)
      sleep_ms(100);
    ready = launch(s) ? wait_ready(s) : -1;
    if (ready != 1) {
      admin_close(s);
      process_kill(&s->process);
    }
  }
  if (ready != 1)
    print_log(s);
  return ready == 1;
}

static void destroy(struct server *s)
{
  admin_destroy(s);
  if (s->process.owner == getpid()) /* a forked child must leave the server its directory */
    temp_dir_remove(s->dir);
  free(s);
}

struct server *server_start(const struct server_options *options)
{
  struct server *s = harness_alloc(sizeof(*s));

  if (options)
    s->options = *options;
  if (!(s->options.program ? program_named(&s->program, s->options.program)
                           : program_default(&s->program))) {
    fputs("harness: no server program\n", stderr);
    free(s);
    return NULL;
  }
  temp_dir_make(s->dir);
  snprintf(s->log, sizeof(s->log), "%s/server.log", s->dir);
  snprintf(s->path, sizeof(s->path), "%s/server.sock", s->dir);
  admin_init(s);
  if (bring_up(s, false))
    return s;
  destroy(s);
  return NULL;
}

void server_kill(struct server *s)
{
  admin_close(s);
  process_kill(&s->process);
}

bool server_stop(struct server *s)
{
  bool by_itself = true;

  if (!s)
    return true;
  admin_close(s);
  if (server_running(s) && s->process.owner == getpid()) {
    kill(s->process.pid, SIGCONT);
    kill(s->process.pid, SIGTERM);
    by_itself = process_ended(&s->process, STOP_BOUND_MS);
  }
  process_kill(&s->process);
  destroy(s);
  return by_itself;
}

bool server_restart(struct server *s)
{
  if (s->process.pid > 0 && s->process.owner != getpid()) {
    fputs("harness: server_restart belongs to the process that started the server\n", stderr);
    return false;
  }
  server_kill(s);
  return bring_up(s, true);
}

static bool is_stopped(void *arg)
{
  const struct server *s = arg;
  char path[64], state = 0;
  FILE *f;

  snprintf(path, sizeof(path), "/proc/%d/stat", (int)s->process.pid);
  f = fopen(path, "re");
  if (!f || fscanf(f, "%*d %*s %c", &state) != 1)
    state = 0;
  if (f)
    fclose(f);
  return state == 'T' || state == 0;
}

void server_pause(struct server *s)
{
  if (server_running(s) && kill(s->process.pid, SIGSTOP) == 0)
    wait_for(is_stopped, s, 1000);
}

void server_resume(struct server *s)
{
  if (s->process.pid > 0)
    kill(s->process.pid, SIGCONT);
}

bool server_running(const struct server *s)
{
  return s->process.pid > 0 && kill(s->process.pid, 0) == 0 &&
         (s->process.owner != getpid() || !process_ended(&s->process, 0));
}

const char *server_url(const struct server *s, enum server_address address)
{
  switch (address) {
  case SERVER_TCP:
    return s->port ? s->url[0] : NULL;
  case SERVER_UNIX:
    return s->url[1];
  case SERVER_TLS:
    return s->tls_port ? s->url[2] : NULL;
  }
  return NULL;
}

const char *server_url_over(const struct server *s, enum over over)
{
  static const enum server_address at[] = {
      [OVER_TCP] = SERVER_TCP, [OVER_UNIX] = SERVER_UNIX, [OVER_TLS] = SERVER_TLS};

  return over == OVER_TLS_UNIX ? NULL : server_url(s, at[over]);
}

uint16_t server_port(const struct server *s)
{
  return s->port;
}

const char *server_path(const struct server *s)
{
  return s->path;
}

const char *server_dir(const struct server *s)
{
  return s->dir;
}

pid_t server_pid(const struct server *s)
{
  return s->process.pid;
}
