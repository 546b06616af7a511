/* SPDX-License-Identifier: BSD-3-Clause */
/* loop_glib.c - a client without a thread of its own in GLib's main loop, which is GTK's as well.
 * usage: loop_glib [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <glib-unix.h>
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>

enum { CALLS = 100 };
struct app {
  pmx_client *client;
  GMainLoop *loop;
  int under_way, answered;
};

/* There is something to do for the client, be it by the clock. */
static gboolean on_readable(gint fd, GIOCondition condition, gpointer ud)
{
  (void)fd, (void)condition;
  pmx_dispatch(((struct app *)ud)->client, 0);
  return G_SOURCE_CONTINUE;
}

/* Runs inside pmx_dispatch, and could begin further calls. */
static void on_reply(void *ud, const pmx_reply *reply)
{
  struct app *app = ud;

  app->answered += pmx_ok(reply);
  if (!pmx_ok(reply))
    fprintf(stderr, "ECHO: %s\n", pmx_reply_error(reply));
  if (--app->under_way == 0)
    g_main_loop_quit(app->loop);
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
  struct app app = {open_client(argc > 1 ? argv[1] : getenv("POOLMUX_URL")), NULL, 0, 0};
  guint watch;

  if (!app.client)
    return 1;
  app.loop = g_main_loop_new(NULL, FALSE);
  watch = g_unix_fd_add(pmx_client_fd(app.client), G_IO_IN, on_readable, &app);
  for (int i = 0; i < CALLS; i++) /* sent when the loop comes to it */
    app.under_way += pmx_async(app.client, NULL, on_reply, &app, "ECHO %d", i) == PMX_OK;
  if (app.under_way)
    g_main_loop_run(app.loop);
  g_source_remove(watch); /* before the client: its descriptor goes with it */
  pmx_unref(app.client);  /* runs what callbacks are left */
  g_main_loop_unref(app.loop);
  printf("%d of %d calls were answered\n", app.answered, CALLS);
  return app.answered == CALLS ? 0 : 1;
}
