/* SPDX-License-Identifier: BSD-3-Clause */
/* check_unload.c - the shared library as a plug-in: loaded, used and unloaded again and again, also
 * while a name lookup hangs that nobody can stop. Not linked with it: all goes through dlsym. The C
 * library's getaddrinfo is replaced: names that end in ".hang" give no answer until a test says so.
 */
#include <check.h>
#include <dlfcn.h>
#include <netdb.h>
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/checks.h"
#include "harness/server.h"
#include "harness/util.h"

enum { ROUNDS = 30, CALLS = 5, HANG_MS = 2000, SOON_MS = 10000, SHORT_MS = 40, CALLERS = 4 };

/* ---- lookups that hang ---- */

static atomic_bool dns_hangs;
static atomic_int dns_inside, dns_most;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
  size_t len = strlen(name);
  int inside = atomic_fetch_add(&dns_inside, 1) + 1;

  (void)service, (void)hints;
  if (inside > atomic_load(&dns_most))
    atomic_store(&dns_most, inside);
  while (len > 5 && strcmp(name + len - 5, ".hang") == 0 && atomic_load(&dns_hangs))
    sleep_ms(1);
  atomic_fetch_sub(&dns_inside, 1);
  *ret = NULL;
  return EAI_NONAME;
}

static bool dns_is_hanging(void *arg)
{
  (void)arg;
  return atomic_load(&dns_inside) > 0;
}

/* ---- the library ---- */

struct api {
  void *handle;
  __typeof__(pmx_open) *open;
  __typeof__(pmx_close) *close;
  __typeof__(pmx_unref) *unref;
  __typeof__(pmx_do) *call;
  __typeof__(pmx_now_ms) *now;
  __typeof__(pmx_reply_status) *status;
  __typeof__(pmx_reply_cause) *cause;
  __typeof__(pmx_reply_str) *str;
  __typeof__(pmx_reply_free) *free;
};

static const char *library(void)
{
  static char path[4096];
  const char *named = getenv("POOLMUX_LIB"), *build = getenv("POOLMUX_BUILD");

  if (named)
    return named;
  snprintf(path, sizeof path, "%s/.libs/libpoolmux.so", build ? build : ".");
  return path;
}

static void *symbol(void *handle, const char *name)
{
  void *found = dlsym(handle, name);

  ck_assert_msg(found != NULL, "%s: %s", name, dlerror());
  return found;
}

/* A pointer to a function is not a pointer to an object in ISO C. */
#define FIND(api, member, name)                                                                    \
  do {                                                                                             \
    void *found_ = symbol((api)->handle, (name));                                                  \
                                                                                                   \
    memcpy(&(api)->member, &found_, sizeof found_);                                                \
  } while (0)

static void api_load(struct api *api)
{
  api->handle = dlopen(library(), RTLD_NOW | RTLD_LOCAL);
  ck_assert_msg(api->handle != NULL, "%s", dlerror());
  FIND(api, open, "pmx_open");
  FIND(api, close, "pmx_close");
  FIND(api, unref, "pmx_unref");
  FIND(api, call, "pmx_do");
  FIND(api, now, "pmx_now_ms");
  FIND(api, status, "pmx_reply_status");
  FIND(api, cause, "pmx_reply_cause");
  FIND(api, str, "pmx_reply_str");
  FIND(api, free, "pmx_reply_free");
}

static void api_unload(struct api *api)
{
  ck_assert_int_eq(dlclose(api->handle), 0);
  memset(api, 0, sizeof *api);
}

static int mappings(void)
{
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[512];
  int count = 0;

  ck_assert_ptr_nonnull(maps);
  while (fgets(line, sizeof line, maps))
    count += strstr(line, "libpoolmux.so") != NULL;
  fclose(maps);
  return count;
}

static void echo(struct api *api, pmx_client *client, const char *word)
{
  pmx_reply *reply = api->call(client, NULL, "ECHO", word, (char *)NULL);

  ck_assert_int_eq(api->status(reply), PMX_OK);
  ck_assert_str_eq(api->str(reply, NULL), word);
  api->free(reply);
}

static void use(struct api *api, const char *url)
{
  pmx_reply *err;
  pmx_client *client = api->open(url, NULL, &err);

  ck_assert_msg(client != NULL, "%s", err ? api->str(err, NULL) : "no reason");
  for (int i = 0; i < CALLS; i++)
    echo(api, client, i % 2 ? "one" : "two");
  ck_assert_int_eq(api->close(client, SOON_MS), 1);
  api->unref(client);
}

START_TEST(loaded_used_and_unloaded_many_times_it_leaves_nothing)
{
  struct server *server = server_start(NULL);
  int rounds = getenv("POOLMUX_SOAK") ? 1000 : ROUNDS, fds = 0, threads = 0, mapped = 0;
  struct api api;

  for (int i = 0; i < rounds; i++) {
    api_load(&api);
    use(&api, server_url(server, i % 2 ? SERVER_TCP : SERVER_UNIX));
    api_unload(&api);
    if (i == 0) {
      fds = fd_count();
      threads = thread_count();
      mapped = mappings();
    }
  }
  ck_assert(settles_at(fds, threads, SOON_MS));
  ck_assert_int_eq(mappings(), mapped);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_process_may_fork_after_it_was_unloaded)
{
  struct server *server = server_start(NULL);
  struct api api;
  int status = 0;
  pid_t pid;

  api_load(&api);
  use(&api, server_url(server, SERVER_UNIX));
  api_unload(&api);
  pid = fork();
  if (pid == 0)
    _exit(EXIT_SUCCESS); /* what it had registered for a fork must be there, or gone */
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
  api_load(&api);
  use(&api, server_url(server, SERVER_UNIX));
  api_unload(&api);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- while a lookup hangs ---- */

struct stuck {
  struct api *api;
  pmx_client *client;
  atomic_int wrong;
  _Atomic int64_t latest_ms; /* after the deadline */
};

static void call_nowhere(int i, void *arg)
{
  struct stuck *s = arg;
  pmx_call call = PMX_CALL_INIT;
  int64_t limit = s->api->now() + SHORT_MS, over;
  pmx_reply *reply;

  (void)i;
  call.timeout_ms = SHORT_MS;
  reply = s->api->call(s->client, &call, "PING", (char *)NULL);
  over = s->api->now() - limit;
  /* DNS, once a connect has failed because of it. */
  if (s->api->status(reply) != PMX_NOT_RUN ||
      (s->api->cause(reply) != PMX_CAUSE_TIMEOUT && s->api->cause(reply) != PMX_CAUSE_DNS))
    atomic_fetch_add(&s->wrong, 1);
  if (over > atomic_load(&s->latest_ms))
    atomic_store(&s->latest_ms, over);
  s->api->free(reply);
}

static void hang_and_unload(const char *url)
{
  struct api api;
  struct stuck s = {.api = &api};
  pmx_reply *err;
  int64_t began;

  api_load(&api);
  s.client = api.open(url, NULL, &err);
  ck_assert_ptr_nonnull(s.client);
  /* Once more where a thread needs longer to begin with the lookup than the connect may take. */
  for (int i = 0; i < 2 || (i < 200 && !dns_is_hanging(NULL)); i++)
    run_threads(CALLERS, call_nowhere, &s);
  ck_assert_int_eq(s.wrong, 0);
  ck_assert_int_lt(s.latest_ms, HANG_MS);
  ck_assert(wait_for(dns_is_hanging, NULL, SOON_MS));
  began = now_ms();
  api.close(s.client, 0);
  api.unref(s.client);
  ck_assert_int_lt(now_ms() - began, HANG_MS);
  api_unload(&api);
  ck_assert_int_lt(now_ms() - began, HANG_MS);
  ck_assert(dns_is_hanging(NULL));
}

START_TEST(a_hanging_lookup_holds_up_neither_calls_nor_close_nor_unloading)
{
  int threads;

  atomic_store(&dns_hangs, true);
  threads = thread_count();
  hang_and_unload("redis://name.hang:6380?connect=lazy&connect_timeout=20ms&offline=wait");
  ck_assert_int_ge(atomic_load(&dns_most), 1);
  ck_assert_int_le(atomic_load(&dns_most), 2);
  sleep_ms(5);
  atomic_store(&dns_hangs, false); /* now it returns into what was unloaded */
  ck_assert(settles_at(fd_count(), threads, SOON_MS));
}
END_TEST

START_TEST(lookups_left_behind_end_when_they_can_however_often_it_was_unloaded)
{
  int threads = thread_count();

  atomic_store(&dns_hangs, true);
  for (int i = 0; i < 3; i++)
    hang_and_unload("redis://other.hang:6380?connect=lazy");
  ck_assert_int_le(atomic_load(&dns_most), 3 * 2);
  atomic_store(&dns_hangs, false);
  ck_assert(settles_at(fd_count(), threads, SOON_MS));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("unload");

  if (access(library(), R_OK) != 0) {
    printf("SKIP: unload: there is no %s (POOLMUX_LIB names it)\n", library());
    return EXIT_SKIP;
  }
  server_require("unload");
  tcase_add_test(tc, loaded_used_and_unloaded_many_times_it_leaves_nothing);
  tcase_add_test(tc, a_process_may_fork_after_it_was_unloaded);
  tcase_add_test(tc, a_hanging_lookup_holds_up_neither_calls_nor_close_nor_unloading);
  tcase_add_test(tc, lookups_left_behind_end_when_they_can_however_often_it_was_unloaded);
  return checks_run("unload", tc);
}
