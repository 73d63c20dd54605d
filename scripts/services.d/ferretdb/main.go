// FerretDB 1.24.2 over SQLite, as a process that the tests start and stop: a second, independent
// server of MongoDB's protocol. Its own main cannot be built from the module alone, for want of a
// version file; this one embeds the server.
//
// Usage: ferretdb -listen 127.0.0.1:27018 -dir DIR
package main

import (
	"context"
	"flag"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27018", "the address to listen on")
	dir := flag.String("dir", "", "the folder of the SQLite files; it must be there")
	flag.Parse()
	if *dir == "" {
		log.Fatal("-dir is missing")
	}

	server, err := ferretdb.New(&ferretdb.Config{
		Handler:   "sqlite",
		SQLiteURL: "file:" + *dir + "/",
		Listener:  ferretdb.ListenerConfig{TCP: *listen},
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		log.Fatal(err)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := server.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
