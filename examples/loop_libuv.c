/* SPDX-License-Identifier: BSD-3-Clause */
/* loop_libuv.c - a client without a thread of its own in a loop of libuv.
 * usage: loop_libuv [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { CALLS = 100 };
struct app {
  pmx_client *client;
  uv_loop_t *loop;
  int under_way, answered;
};

/* There is something to do for the client, be it by the clock. */
static void on_readable(uv_poll_t *handle, int status, int events)
{
  struct app *app = handle->data;

  (void)events;
  if (status == 0)
    pmx_dispatch(app->client, 0);
  else
    uv_stop(app->loop);
}

/* Runs inside pmx_dispatch, and could begin further calls. */
static void on_reply(void *ud, const pmx_reply *reply)
{
  struct app *app = ud;

  app->answered += pmx_ok(reply);
  if (!pmx_ok(reply))
    fprintf(stderr, "ECHO: %s\n", pmx_reply_error(reply));
  if (--app->under_way == 0)
    uv_stop(app->loop);
}

static pmx_client *open_client(const char *url)
{
  pmx_options *options = pmx_options_new();
  pmx_client *client;
  pmx_reply *err;

  pmx_options_set(options, "strategy", "mux");
  pmx_options_set(options, "io", "loop");
  pmx_options_set(options, "connect", "lazy"); /* else pmx_open waits for the server */
  client = pmx_open(url, options, &err);
  if (!client)
    fprintf(stderr, "open: %s\n", pmx_reply_error(err));
  pmx_reply_free(err);
  pmx_options_free(options);
  return client;
}

int main(int argc, char **argv)
{
  struct app app = {open_client(argc > 1 ? argv[1] : getenv("POOLMUX_URL")), uv_default_loop(), 0,
                    0};
  uv_poll_t readable = {.data = &app};

  if (!app.client || uv_poll_init(app.loop, &readable, pmx_client_fd(app.client)) != 0)
    return 1;
  if (uv_poll_start(&readable, UV_READABLE, on_readable) == 0) {
    for (int i = 0; i < CALLS; i++) /* sent when the loop comes to it */
      app.under_way += pmx_async(app.client, NULL, on_reply, &app, "ECHO %d", i) == PMX_OK;
    if (app.under_way)
      uv_run(app.loop, UV_RUN_DEFAULT);
  }
  uv_close((uv_handle_t *)&readable, NULL); /* before the client: its descriptor goes with it */
  uv_run(app.loop, UV_RUN_DEFAULT);         /* it is closed */
  pmx_unref(app.client);                    /* runs what callbacks are left */
  uv_loop_close(app.loop);
  printf("%d of %d calls were answered\n", app.answered, CALLS);
  return app.answered == CALLS ? 0 : 1;
}
