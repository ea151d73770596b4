package io.moextend.comm.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
@SuppressWarnings("MustBeClosedChecker") // closed after each test
class ConversationTest {
  private final Backend backend = Backends.open("cpu", new BackendProvider.Options(1, 0));
  private final Conversation conversation = new Conversation(new LoneWire(backend));
  private final List<String> said = new CopyOnWriteArrayList<>();

  @AfterEach
  void close() {
    conversation.close();
    backend.close();
  }

  @Test
  void callsAreMadeInOrderByOneThreadOfItsOwn() {
    var threads = new CopyOnWriteArrayList<Thread>();
    Conversation.Ticket last = null;
    for (int i = 0; i < 100; i++) {
      String word = "" + i;
      last =
          conversation.submit(
              word,
              () -> {
                said.add(word);
                threads.add(Thread.currentThread());
              });
    }
    last.await();
    assertThat(said).hasSize(100).startsWith("0", "1", "2").endsWith("98", "99");
    assertThat(threads).containsOnly(threads.getFirst()).doesNotContain(Thread.currentThread());
  }

  @Test
  void afterAFailureNothingMoreIsSaidAndEveryWaitThrowsIt() {
    var first = conversation.submit("first", () -> said.add("first"));
    var open = new CountDownLatch(1);
    var bad =
        conversation.submit(
            "bad",
            () -> {
              awaitQuietly(open);
              throw new IllegalArgumentException("broken");
            });
    var behind = conversation.submit("behind", () -> said.add("behind"));
    open.countDown();
    assertThatThrownBy(behind::await).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(bad::await).hasMessage("broken");
    assertThatThrownBy(() -> conversation.submit("more", () -> said.add("more")))
        .hasMessage("broken");
    first.await(); // was done before
    conversation.quiet();
    assertThat(said).containsExactly("first");
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void closingDropsWhatWasNotSaidYet() {
    var begun = new CountDownLatch(1);
    var open = new CountDownLatch(1);
    var running =
        conversation.submit(
            "running",
            () -> {
              begun.countDown();
              awaitQuietly(open);
              said.add("running");
            });
    var waiting = conversation.submit("waiting", () -> said.add("waiting"));
    awaitQuietly(begun);
    var closing = Thread.ofPlatform().start(conversation::close);
    while (closing.getState() != Thread.State.WAITING) { // for the call that is being made
      sleep(1);
    }
    open.countDown();
    join(closing);
    running.await();
    assertThatThrownBy(waiting::await).hasMessageContaining("closed before all was said");
    assertThatThrownBy(() -> conversation.submit("more", () -> {}))
        .hasMessageContaining("after the conversation was closed");
    assertThat(said).containsExactly("running");
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void whatIsOwedIsSaidOnceAndFirst() {
    conversation.owe(() -> conversation.submit("owed", () -> said.add("owed")).await());
    assertThat(conversation.gather("numbers", 3, 4)).isDeepEqualTo(new double[][] {{3, 4}});
    conversation.barrier("once more");
    assertThat(said).containsExactly("owed");
  }

  @Test
  void timeSpentTalkingIsToldFromTimeSpentWaiting() {
    conversation.exposure();
    var ticket = conversation.submit("long", () -> sleep(60));
    conversation.quiet();
    ticket.await();
    Exposure hidden = conversation.exposure();
    assertThat(hidden.totalSeconds()).isGreaterThan(0.055);
    assertThat(hidden.exposedSeconds()).isLessThan(0.02);
    conversation.submit("long", () -> sleep(60)).await();
    Exposure exposed = conversation.exposure();
    assertThat(exposed.exposedSeconds()).isGreaterThan(0.05);
    assertThat(exposed.share()).isGreaterThan(0.8);
    assertThat(conversation.exposure()).isEqualTo(new Exposure(0, 0, 0));
  }

  private static void sleep(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void aRankAloneHasItsSumsAlready() {
    long before = backend.memory().liveBytes();
    try (var flat = conversation.flat("alone", DType.F32, 4)) {
      backend.copyIn(flat.array(), MemorySegment.ofArray(new float[] {1, 2, 3, 4}));
      conversation.allReduce("a", flat, 0, 4).await();
      conversation.reduceScatter("b", flat, 0, 4).await();
      conversation.allGather("c", flat, 0, 4).await();
      float[] got = new float[4];
      backend.copyOut(flat.array(), MemorySegment.ofArray(got));
      assertThat(got).containsExactly(1, 2, 3, 4);
    }
    assertThat(backend.memory().liveBytes()).isEqualTo(before);
  }
}
