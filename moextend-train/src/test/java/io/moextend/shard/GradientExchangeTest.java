package io.moextend.shard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.DType;
import io.moextend.autograd.GradientSink;
import io.moextend.comm.PeerLostException;
import io.moextend.comm.device.Exposure;
import io.moextend.optim.AdamW;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What goes over the wire, when, and what happens where it breaks. */
@Timeout(60)
class GradientExchangeTest {
  private static List<String> gradients(List<String> calls) {
    return calls.stream().filter(c -> c.startsWith("gradients of")).toList();
  }

  private static ShardedRank rank(ZeroStage stage, Watched collective) {
    return new ShardedRank(
        Setup.of("cpu", DType.F32, collective.world(), stage), collective, AdamW.PUBLISHED);
  }

  @ParameterizedTest
  @EnumSource
  void aBucketIsOnItsWayAsSoonAsItsUnitsAreDone(ZeroStage stage) {
    Ranks.run(
        Watched.group(2),
        collective -> {
          try (ShardedRank rank = rank(stage, collective)) {
            GradientSink sink = rank.optimizer.gradients(true);
            assertThat(rank.layout.buckets())
                .extracting(ParameterLayout.Bucket::firstUnit)
                .containsExactly(0, 1, 2);
            sink.reached(5);
            sink.reached(4); // unit 4 shares its bucket with unit 2
            rank.conversation.quiet();
            assertThat(gradients(collective.calls())).isEmpty();
            sink.reached(2);
            rank.conversation.quiet();
            assertThat(gradients(collective.calls())).containsExactly("gradients of bucket 2");
            sink.reached(1);
            rank.conversation.quiet();
            assertThat(gradients(collective.calls()))
                .containsExactly("gradients of bucket 2", "gradients of bucket 1");
            rank.optimizer.step(1e-3, 0);
            assertThat(gradients(collective.calls())).hasSize(3).endsWith("gradients of bucket 0");
            return 0;
          }
        });
  }

  @ParameterizedTest
  @EnumSource
  void numbersGatheredBeforeTheStepComeAfterWhatIsOwed(ZeroStage stage) {
    List<List<String>> calls = new ArrayList<>();
    Ranks.run(
        Watched.group(2),
        collective -> {
          try (ShardedRank rank = rank(stage, collective)) {
            GradientSink sink = rank.optimizer.gradients(true);
            if (collective.rank() == 0) {
              rank.task.backward(sink, new int[] {1, 2});
            }
            double[][] losses = rank.conversation.gather("losses", 10 + collective.rank(), 2);
            assertThat(losses).isDeepEqualTo(new double[][] {{10, 2}, {11, 2}});
            rank.optimizer.step(1e-3, 0);
            synchronized (calls) {
              calls.add(collective.calls());
            }
            return 0;
          }
        });
    assertThat(calls.getFirst()).isEqualTo(calls.getLast()).contains("losses");
  }

  @ParameterizedTest
  @EnumSource
  void aGradientMayComeAheadOfItsUnitsTurn(ZeroStage stage) {
    List<double[]> inOrder = tied(stage, false);
    List<double[]> ahead = tied(stage, true);
    assertThat(ahead.getFirst()).isEqualTo(inOrder.getFirst()).isEqualTo(ahead.getLast());
  }

  /** A weight of unit 0 that is used at the end of the model too, as a tied head is. */
  private static List<double[]> tied(ZeroStage stage, boolean ahead) {
    return Ranks.run(
        Watched.group(2),
        collective -> {
          try (ShardedRank rank = rank(stage, collective)) {
            for (int step = 0; step < 3; step++) {
              GradientSink sink = rank.optimizer.gradients(true);
              var p = rank.task.parameter("unit0.p0.weight");
              double[] gradient = rank.task.gradient(p, new int[] {7});
              if (ahead) {
                rank.task.deliver(sink, p, gradient);
              }
              rank.task.backward(sink, new int[] {step}, q -> true);
              if (!ahead) {
                rank.task.deliver(sink, p, gradient);
              }
              rank.optimizer.step(1e-2, 0);
            }
            return rank.task.weights();
          }
        });
  }

  @ParameterizedTest
  @EnumSource
  void aGradientAfterItsUnitIsRefused(ZeroStage stage) {
    Ranks.run(
        Watched.group(1),
        collective -> {
          try (ShardedRank rank = rank(stage, collective)) {
            GradientSink sink = rank.optimizer.gradients(true);
            sink.reached(1);
            var p = rank.task.parameter("unit2.p0.weight");
            assertThatThrownBy(() -> rank.task.deliver(sink, p, new double[66]))
                .hasMessageContaining("a gradient of unit2.p0.weight came after its unit was done");
            return 0;
          }
        });
  }

  @Test
  void computingGoesOnWhileBucketsAreOnTheirWay() {
    for (ZeroStage stage : ZeroStage.values()) {
      var exposures =
          Ranks.run(
              List.of(Watched.group(1).getFirst().before(GradientExchangeTest::slowly)),
              collective -> {
                try (ShardedRank rank = rank(stage, collective)) {
                  GradientSink sink = rank.optimizer.gradients(true);
                  Exposure ignored = rank.conversation.exposure(); // of the beginning
                  sink.reached(1);
                  double hidden = 0;
                  while (hidden < 0.08) { // two buckets, while unit 0 computes
                    Thread.sleep(5);
                    Exposure meanwhile = rank.conversation.exposure();
                    assertThat(meanwhile.exposedSeconds()).isZero();
                    hidden += meanwhile.totalSeconds();
                  }
                  rank.optimizer.step(1e-3, 0);
                  return rank.conversation.exposure();
                }
              });
      Exposure end = exposures.getFirst();
      assertThat(end.totalSeconds()).as("%s", stage).isGreaterThan(0.035);
      assertThat(end.exposedSeconds()).as("%s", stage).isGreaterThan(0.03);
    }
  }

  private static void slowly(String call) {
    if (call.startsWith("gradients of")) {
      try {
        Thread.sleep(40);
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  private static void step(ShardedRank rank) {
    rank.task.backward(rank.optimizer.gradients(true), new int[] {1});
    rank.optimizer.step(1e-3, 0);
  }

  @ParameterizedTest
  @EnumSource
  void aCollectiveThatFailsEndsTheStepWithItsError(ZeroStage stage) {
    for (String broken : List.of("gradients of bucket 1", "gradient norm", "weights of bucket 2")) {
      if (stage == ZeroStage.NONE && broken.startsWith("weights")) {
        continue;
      }
      Watched collective = Watched.group(1).getFirst();
      collective.before(
          call -> {
            if (call.equals(broken)) {
              throw new PeerLostException(3, "rank 3 is gone in " + call);
            }
          });
      try (ShardedRank rank = rank(stage, collective)) {
        assertThatThrownBy(() -> step(rank))
            .isInstanceOf(PeerLostException.class)
            .hasMessage("rank 3 is gone in " + broken);
        assertThatThrownBy(() -> rank.conversation.gather("loss", 1))
            .isInstanceOf(PeerLostException.class);
        assertThat(collective.calls()).doesNotContain(broken);
      }
      assertThat(collective.bytes()).isZero();
    }
  }

  @ParameterizedTest
  @EnumSource
  void aRankThatDoesNotComeIsNamed(ZeroStage stage) {
    var gone = new CountDownLatch(1);
    Ranks.run(
        Watched.group(2, Duration.ofMillis(400)),
        collective -> {
          try (ShardedRank rank = rank(stage, collective)) {
            if (collective.rank() == 1) {
              assertThat(gone.await(20, TimeUnit.SECONDS)).isTrue();
              return 0;
            }
            assertThatThrownBy(() -> step(rank))
                .isInstanceOf(PeerLostException.class)
                .hasMessageContaining("for rank 1");
            gone.countDown();
            return 0;
          }
        });
  }

  @Test
  void anotherMicroBatchAfterTheLastOneIsRefused() {
    Watched collective = Watched.group(1).getFirst();
    try (ShardedRank rank = rank(ZeroStage.OPTIMIZER, collective)) {
      assertThat(rank.optimizer.gradients(true)).isNotNull();
      assertThatThrownBy(() -> rank.optimizer.gradients(true))
          .hasMessageContaining("after the last one");
    }
  }
}
