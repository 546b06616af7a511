/* SPDX-License-Identifier: BSD-3-Clause */
/* last_words.c - a server that says why and hangs up, just before the login is sent: what is told
 * is what it said, not that sending failed; and what it said before a call is not its answer. The C
 * library's send() is replaced by one that lets that happen first. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "behaviour/behaviour.h"
#include "harness/certs.h"
#include "harness/checks.h"
#include "harness/fake_tls.h"
#include "harness/proxy.h"

/* ---- the moment ---- */

static struct moment {
  struct fake *fake;
  const char *words; /* NULL: the server needs no telling */
  int err;           /* of sending, from then on */
  pthread_t thread;
  bool once; /* one send() of that thread, not all from then on */
  bool gone; /* that was it */
} moment;

/* With the next send() of its thread. Others send as well: they look at the moment after this. */
static atomic_bool come;

static void hang_up(int fd)
{
  struct pollfd p = {.fd = fd, .events = POLLRDHUP};

  if (moment.words && fake_wait_accepted(moment.fake, 1, SOON_MS)) {
    fake_send(fake_conn_at(moment.fake, 0), moment.words, strlen(moment.words));
    fake_close(fake_conn_at(moment.fake, 0));
  }
  moment.gone = poll(&p, 1, SOON_MS) == 1;
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
  if (!atomic_load(&come) || !pthread_equal(pthread_self(), moment.thread))
    return syscall(SYS_sendto, fd, bytes, size, flags, NULL, 0);
  if (!moment.gone)
    hang_up(fd);
  if (moment.once)
    atomic_store(&come, false);
  errno = moment.err;
  return -1;
}

/* Called when there is a connection, and all of TLS, by the thread that logs in then. */
static int credentials(void *ud, char *user, size_t user_size, char *password, size_t password_size)
{
  (void)ud;
  (void)user_size;
  (void)password_size;
  user[0] = password[0] = '\0';
  moment.thread = pthread_self();
  atomic_store(&come, true);
  return 0;
}

static void check_told(const char *strategy, const char *url, pmx_cause cause, const char *text)
{
  pmx_options *options = options_for(strategy);
  pmx_reply *err;

  trust_for(options, url);
  pmx_options_set_credentials(options, credentials, NULL);
  ck_assert_ptr_null(pmx_open(url, options, &err));
  atomic_store(&come, false);
  ck_assert(moment.gone);
  check_says(err, text);
  check_fails(err, PMX_NOT_RUN, cause);
  pmx_options_free(options);
}

/* ---- what it says ---- */

static void open_when(const char *words, int err, pmx_cause cause, const char *text, int i)
{
  struct fake *fake = fake_start(&(struct fake_options){.over = ways[i].over, .manual = true});

  moment = (struct moment){.fake = fake, .words = words, .err = err};
  check_told(ways[i].strategy, fake_url(fake), cause, text);
  ck_assert(fake_stop(fake));
}

START_TEST(refusal)
{
  open_when("-ERR max number of clients reached\r\n", EPIPE, PMX_CAUSE_CONNECT,
            "no room for another (its maxclients): the server said \"ERR max number", _i);
  open_when("-DENIED Redis is running in protected mode.\r\n", ECONNRESET, PMX_CAUSE_CONNECT,
            "it is in protected mode: the server said \"DENIED ", _i);
}
END_TEST

START_TEST(nothing)
{
  open_when("", EPIPE, PMX_CAUSE_CONNECT, " lost: closed by the server", _i);
  open_when("", ECONNRESET, PMX_CAUSE_CONNECT, " lost: sending failed: Connection reset by peer",
            _i);
}
END_TEST

/* It is no answer to a call that has not left: with TLS what was sealed may have. */
START_TEST(farewell)
{
  static const int errs[] = {EPIPE, ECONNRESET};

  for (int i = 0; i < 2; i++) {
    struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
    pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);

    get_value(client, "k");
    moment = (struct moment){.fake = fake, .words = "-ERR idle\r\n", .err = errs[i], .once = true};
    moment.thread = pthread_self();
    atomic_store(&come, true);
    check_is_ok(pmx_command(client, "INCR k"));
    ck_assert(moment.gone);
    ck_assert_uint_eq(fake_accepted(fake), 2);
    ck_assert_uint_eq(fake_seen(fake, "INCR"), 1);
    close_client(client);
    ck_assert(fake_stop(fake));
  }
}
END_TEST

/* With TLS 1.3 a client is done before the server has seen its certificate, or that it has none.
 * The network is slow, for the alert not to be there too early. */
START_TEST(alert)
{
  struct fake_tls tls = {.ca = cert_file(certs_default()->ca)};
  struct fake *fake = fake_start(&(struct fake_options){.over = OVER_TLS, .tls = &tls});
  struct proxy *proxy = proxy_start(fake_url(fake), NULL);

  proxy_delay(proxy, PROXY_TO_SERVER, 100, 0);
  moment = (struct moment){.fake = fake, .err = EPIPE};
  check_told(strategies[_i], proxy_url(proxy), PMX_CAUSE_TLS,
             "the server wants a client certificate");
  proxy_stop(proxy);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("last_words");

  add_for_ways(tc, refusal);
  add_for_ways(tc, nothing);
  add_for_plain_ways_with(BORROWS, tc, farewell);
  add_for_strategies(tc, alert);
  return checks_run("last_words", tc);
}
