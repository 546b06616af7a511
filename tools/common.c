/* SPDX-License-Identifier: BSD-3-Clause */
/* common.c - see common.h. */
#include "common.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PASSWORD_SIZE = 65536 + 2 };

/* ---- the end ---- */

static void complain(const struct tool *t, const char *format, va_list args)
{
  fprintf(stderr, "%s: ", t->name);
  people_vprint(stderr, format, args);
  fputc('\n', stderr);
}

void tool_misused(const struct tool *t, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  complain(t, format, args);
  va_end(args);
  fprintf(stderr, "%s --help tells how it is used.\n", t->name);
  exit(EXIT_USAGE);
}

void tool_failed(const struct tool *t, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  complain(t, format, args);
  va_end(args);
  exit(EXIT_FAILED);
}

static void version(const struct tool *t)
{
  printf("%s %s (%s)\n", t->name, pmx_version(), pmx_build_info());
  exit(EXIT_OK);
}

/* ---- options ---- */

void tool_set(struct tool *t, const char *name, const char *value)
{
  pmx_status status = pmx_options_set(t->options, name, value);

  if (status == PMX_NOMEM)
    tool_failed(t, "%s", pmx_options_error(t->options));
  if (status != PMX_OK)
    tool_misused(t, "%s", pmx_options_error(t->options));
}

void tool_wipe(char *text)
{
  memset(text, 'x', strlen(text));
}

static void set_from_environment(struct tool *t, const char *variable, const char *option)
{
  const char *value = getenv(variable);

  if (value && *value)
    tool_set(t, option, value);
}

static void log_line(void *ud, pmx_log_level level, const char *component, const char *message)
{
  static const char *const names[] = {"error", "warn", "info", "debug"};

  (void)ud;
  people_print(stderr, "%s %s: %s", names[level], component, message);
  fputc('\n', stderr);
}

void tool_begin(struct tool *t, const char *name, const char *help)
{
  *t = (struct tool){.name = name, .help = help, .options = pmx_options_new()};
  if (!t->options)
    tool_failed(t, "out of memory");
  set_from_environment(t, "POOLMUX_PASSWORD", "password");
  set_from_environment(t, "POOLMUX_KEY_PASSPHRASE", "tls.key_passphrase");
}

void tool_end(struct tool *t)
{
  pmx_options_free(t->options);
  free(t->url);
}

static void set_pair(struct tool *t, char *pair)
{
  char *value = strchr(pair, '=');

  if (!value && pmx_options_get(t->options, pair))
    tool_misused(t, "-o wants NAME=VALUE, and \"%s\" has no \"=\"", pair);
  if (!value) /* as "password:…": nobody knows where a secret begins */
    tool_misused(t, "-o wants NAME=VALUE, and what it got has no \"=\"");
  *value++ = '\0';
  tool_set(t, pair, value);
  if (!pmx_options_get(t->options, pair)) /* secret: ps shows arguments */
    tool_wipe(value);
  value[-1] = '=';
}

static void read_password(struct tool *t, const char *path)
{
  static char line[PASSWORD_SIZE];
  FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");

  if (!file || (!fgets(line, PASSWORD_SIZE, file) && ferror(file)))
    tool_misused(t, "the password file \"%s\" cannot be read: %s", path, strerror(errno));
  line[strcspn(line, "\r\n")] = '\0';
  tool_set(t, "password", line);
  explicit_bzero(line, PASSWORD_SIZE);
  if (file != stdin)
    fclose(file);
}

void tool_option(struct tool *t, int opt, char *arg)
{
  switch (opt) {
  case 'o':
    set_pair(t, arg);
    break;
  case 't':
    tool_set(t, "connect_timeout", arg);
    tool_set(t, "command_timeout", arg);
    break;
  case TOOL_PASSWORD_FILE:
    read_password(t, arg);
    break;
  case 'j':
    t->json = 1;
    break;
  case 'v':
    t->verbose = 1;
    pmx_options_set_log(t->options, log_line, PMX_LOG_DEBUG, NULL);
    break;
  case 'h':
    fputs(t->help, stdout);
    exit(EXIT_OK);
  case 'V':
    version(t);
    break;
  default: /* getopt has said what is wrong */
    fprintf(stderr, "%s --help tells how it is used.\n", t->name);
    exit(EXIT_USAGE);
  }
}

/* ---- URLs ---- */

void tool_url(struct tool *t, char *arg)
{
  char *login = strstr(arg, "://"), *query;

  t->url = strdup(arg);
  if (!t->url)
    tool_failed(t, "out of memory");
  login = login ? login + 3 : arg;
  query = strchr(login, '?');
  if (strchr(login, '@'))
    memset(login, 'x', (size_t)(strrchr(login, '@') - login));
  if (query)
    tool_wipe(query + 1);
}

/* With an @ out of place nobody knows where the login ends. */
const char *tool_shown_url(const char *url, char *buf, size_t size)
{
  const char *host = strstr(url, "://"), *at = strchr(url, '@');
  int scheme = host ? (int)(host + 3 - url) : 0;
  size_t authority = strcspn(url + scheme, "/?#");

  if (at && (at > url + scheme + authority || strchr(at + 1, '@'))) {
    snprintf(buf, size, "%.*s...", scheme, url);
    return buf;
  }
  host = at ? at + 1 : url + scheme;
  snprintf(buf, size, "%.*s%.*s", scheme, url, (int)strcspn(host, "?#"), host);
  return buf;
}

static int is_named(const char *param, size_t len, const char *name)
{
  return strlen(name) == len && strncmp(param, name, len) == 0;
}

char *tool_url_without(const char *url, const char *const *names, const char *wanted, char *value,
                       size_t size)
{
  char *copy = strdup(url), *to = copy ? strchr(copy, '?') : NULL;
  const char *from = strchr(url, '?');
  char before = '?';

  *value = '\0';
  while (to && from && *from) {
    size_t len = strcspn(++from, "&"), name = strcspn(from, "=&");
    int dropped = 0;

    for (int i = 0; names[i]; i++)
      dropped |= is_named(from, name, names[i]);
    if (is_named(from, name, wanted) && name < len)
      snprintf(value, size, "%.*s", (int)(len - name - 1), from + name + 1);
    if (!dropped) {
      *to++ = before;
      memcpy(to, from, len);
      to += len;
      before = '&';
    }
    from += len;
  }
  if (to)
    *to = '\0';
  return copy;
}

/* ---- signals ---- */

/* The mutex: who has disarmed it may free the token. */
static struct {
  pmx_cancel *token;
  sigset_t set;
  pthread_mutex_t mutex;
  int armed;
} watch = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static int fire(void)
{
  int armed;

  pthread_mutex_lock(&watch.mutex);
  armed = watch.armed;
  watch.armed = 0;
  if (armed)
    pmx_cancel_fire(watch.token);
  pthread_mutex_unlock(&watch.mutex);
  return armed;
}

static void *wait_for_signals(void *unused)
{
  int sig = SIGINT;

  (void)unused;
  sigwait(&watch.set, &sig);
  if (fire())
    sigwait(&watch.set, &sig);
  signal(sig, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &watch.set, NULL);
  kill(getpid(), sig);
  return NULL;
}

/* sigwait would take one, too, that is ignored: by nohup, or by a shell for what it starts in the
 * background. */
static int watch_signal(int sig)
{
  struct sigaction now;

  if (sigaction(sig, NULL, &now) != 0 || now.sa_handler == SIG_IGN)
    return 0;
  return sigaddset(&watch.set, sig) == 0;
}

void tool_watch_signals(pmx_cancel *token)
{
  pthread_t thread;

  watch.token = token;
  sigemptyset(&watch.set);
  if (watch_signal(SIGINT) + watch_signal(SIGTERM) + watch_signal(SIGHUP) == 0)
    return;
  pthread_sigmask(SIG_BLOCK, &watch.set, NULL);
  if (pthread_create(&thread, NULL, wait_for_signals, NULL) == 0)
    pthread_detach(thread);
  else
    pthread_sigmask(SIG_UNBLOCK, &watch.set, NULL);
}

void tool_arm(int armed)
{
  pthread_mutex_lock(&watch.mutex);
  watch.armed = armed;
  pthread_mutex_unlock(&watch.mutex);
}
