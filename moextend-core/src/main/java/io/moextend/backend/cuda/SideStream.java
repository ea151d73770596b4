package io.moextend.backend.cuda;

/** A second stream beside the one that computes, made on first use; each can wait for the other. */
final class SideStream implements AutoCloseable {
  private final Driver driver;
  private final long main;
  private long side;
  private long mainReached;
  private long sideReached;

  SideStream(Driver driver, long main) {
    this.driver = driver;
    this.main = main;
  }

  /** The side stream, which from here on waits for what the main one was asked so far. */
  synchronized long follow() {
    if (side == 0) {
      side = driver.stream();
      mainReached = driver.event();
      sideReached = driver.event();
    }
    driver.record(mainReached, main);
    driver.await(side, mainReached);
    return side;
  }

  synchronized boolean isDone() {
    return side == 0 || driver.isDone(side);
  }

  /** The main stream waits from here on for what the side one was asked so far. */
  synchronized void join() {
    if (side != 0) {
      driver.record(sideReached, side);
      driver.await(main, sideReached);
    }
  }

  @Override
  public synchronized void close() {
    if (side != 0) {
      driver.synchronize(side);
      driver.destroyEvent(mainReached);
      driver.destroyEvent(sideReached);
      driver.destroyStream(side);
      side = 0;
    }
  }
}
