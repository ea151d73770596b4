package io.moextend.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Activation;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.op.Activate;
import io.moextend.op.Add;
import io.moextend.op.BalanceLoss;
import io.moextend.op.Project;
import io.moextend.op.Route;
import io.moextend.op.Weight;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ValueSource;

/** What a tape keeps, frees, runs again and delivers. */
@ParameterizedClass
@ValueSource(strings = {"cpu", "nd4j"})
class TapeTest {
  private static final int ROWS = 16;
  private static final int WIDTH = 32;
  private static final long BYTES = 4L * ROWS * WIDTH;

  @org.junit.jupiter.params.Parameter String backendName = "";

  private final Map<String, float[]> gradients = new LinkedHashMap<>();
  private final List<Weight> weights = new ArrayList<>();
  private final Random random = new Random(11);
  private Backend backend;
  private Arena model;
  private Arena step;
  private Tape tape;

  @BeforeEach
  @SuppressWarnings("MustBeClosedChecker") // closed after each test
  void open() {
    backend = Backends.open(backendName, new Options(1, 0));
    model = backend.arena("model");
    restart();
  }

  @SuppressWarnings("MustBeClosedChecker") // closed after each test
  private void restart() {
    if (step != null) {
      step.close();
    }
    gradients.clear();
    step = backend.arena("step");
    tape = Tape.recording(backend, step, this::deliver);
  }

  private void deliver(Parameter parameter, Array gradient) {
    gradients.put(parameter.name(), backend.toFloats(model, gradient));
  }

  @AfterEach
  void close() {
    weights.forEach(Weight::close);
    step.close();
    model.close();
    assertThat(backend.memory().liveBytes()).as("bytes left").isZero();
    backend.close();
  }

  private Array numbers(Arena arena, long... shape) {
    float[] values = new float[Math.toIntExact(Array.sizeOf(shape))];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian() / 4;
    }
    return backend.floats(arena, DType.F32, values, shape);
  }

  private Weight weight(String name, boolean trainable, long... shape) {
    var parameter = new Parameter(name, Role.BACKBONE, numbers(model, shape));
    parameter.trainable(trainable);
    var weight = Weight.of(backend, parameter);
    weights.add(weight);
    return weight;
  }

  /** Blocks of a projection and an activation, square. */
  private List<Weight> blocks(int count, boolean trainable) {
    var made = new ArrayList<Weight>();
    for (int i = 0; i < count; i++) {
      made.add(weight("block " + i, trainable, WIDTH, WIDTH));
    }
    return made;
  }

  private static Tensor block(Tape tape, Tensor x, Weight w) {
    Tensor y = Activate.apply(tape, Activation.GELU, Project.apply(tape, x, w));
    return Add.apply(tape, x, Activate.apply(tape, Activation.SILU, y));
  }

  private Tensor input() {
    return Tensor.constant(numbers(step, ROWS, WIDTH));
  }

  private Array ones(Tensor like) {
    Array ones = step.allocate(like.data().dtype(), like.data().shape());
    backend.fillInto(ones, 1);
    return ones;
  }

  @Test
  void whatIsFrozenAddsNothingToTheTape() {
    Tensor x = input();
    for (Weight w : blocks(3, false)) {
      x = block(tape, x, w);
    }
    assertThat(tape.length()).isZero();
    assertThat(x.requiresGrad()).isFalse();
    Tensor y = Project.apply(tape, x, weight("last", true, WIDTH, WIDTH));
    assertThat(tape.length()).isEqualTo(1);
    assertThat(y.requiresGrad()).isTrue();
  }

  @Test
  void aScopeOfFrozenPartsLeavesOnlyWhatItKeeps() {
    Tensor x = input();
    List<Weight> frozen = blocks(3, false);
    long before = step.liveBytes();
    Tensor kept =
        tape.scope(
            s -> {
              Tensor y = x;
              for (Weight w : frozen) {
                y = block(tape, y, w);
              }
              return s.keep(y);
            });
    assertThat(step.liveBytes()).isEqualTo(before + BYTES);
    assertThat(kept.data().isLive()).isTrue();
  }

  @Test
  void aScopeKeepsWhatABackwardWillReadAndBackwardFreesIt() {
    Tensor x = input();
    Weight w = weight("w", true, WIDTH, WIDTH);
    long before = step.liveBytes();
    Tensor y =
        tape.scope(
            s -> {
              Tensor h = Activate.apply(tape, Activation.GELU, Project.apply(tape, x, w));
              backend.add(step, x.data(), x.data()); // what nobody reads
              return s.keep(h);
            });
    // the activation's input is saved, and its output kept
    assertThat(step.liveBytes()).isEqualTo(before + 2 * BYTES);
    tape.backward(y, ones(y));
    assertThat(gradients).containsOnlyKeys("w");
    assertThat(step.liveBytes()).isEqualTo(before + 2 * BYTES); // y and the ones
    assertThat(tape.length()).isZero();
  }

  @Test
  void aCheckpointedRunGivesTheSameBitsInLessMemory() {
    List<Weight> blocks = blocks(8, true);
    Array x = numbers(model, ROWS, WIDTH);
    run(blocks, x, false);
    Map<String, float[]> plain = Map.copyOf(gradients);
    long plainPeak = step.peakBytes();
    assertThat(plain).hasSize(8);
    restart();
    run(blocks, x, true);
    assertThat(gradients).hasSize(8).allSatisfy((n, d) -> assertThat(d).isEqualTo(plain.get(n)));
    assertThat(step.peakBytes()).isLessThan(plainPeak * 3 / 4);
  }

  @Test
  void weightsOfOneProductGetTheirGradientsOneAfterTheOther() {
    int parts = 6;
    var stacked = new ArrayList<Parameter>();
    for (int i = 0; i < parts; i++) {
      var part = new Parameter("part " + i, Role.BACKBONE, numbers(model, WIDTH, WIDTH));
      part.trainable(true);
      stacked.add(part);
    }
    var weight = new Weight(backend, stacked, List.of());
    weights.add(weight);
    var alive = new ArrayList<Long>();
    tape = Tape.recording(backend, step, (parameter, gradient) -> alive.add(step.liveBytes()));
    Tensor y = Project.apply(tape, input(), weight);
    tape.backward(y, ones(y));
    assertThat(alive).hasSize(parts).containsOnly(alive.getFirst());
  }

  @Test
  void aSegmentRunAgainKeepsOnlyWhatItsBackwardReads() {
    Weight frozen = weight("frozen", false, WIDTH, WIDTH);
    Weight gate = weight("gate", true, WIDTH, WIDTH);
    var replayed = new ArrayList<Long>();
    tape = Tape.recording(backend, step, (parameter, gradient) -> replayed.add(step.liveBytes()));
    Tensor x = input();
    Tensor y =
        tape.checkpoint(
                List.of(x),
                (t, in) -> {
                  Tensor h = in.getFirst();
                  for (int i = 0; i < 9; i++) {
                    h = Project.apply(t, h, frozen);
                  }
                  return List.of(Project.apply(t, h, gate));
                })
            .getFirst();
    tape.backward(y, ones(y));
    // x, y, the ones, what the gate read, and the gate's gradient
    assertThat(replayed).containsExactly(4 * BYTES + 4L * WIDTH * WIDTH);
  }

  private void run(List<Weight> blocks, Array from, boolean checkpointed) {
    Tensor x = Tensor.constant(from);
    for (Weight w : blocks) {
      Tensor in = x;
      x =
          checkpointed
              ? tape.checkpoint(List.of(in), (t, i) -> List.of(block(t, i.getFirst(), w)))
                  .getFirst()
              : tape.scope(s -> s.keep(block(tape, in, w)));
    }
    tape.backward(x, ones(x));
  }

  @Test
  void aSegmentOfWhichOnlyTheInsideTrainsTrains() {
    Tensor x = input();
    Weight frozen = weight("frozen", false, WIDTH, WIDTH);
    Weight trained = weight("trained", true, WIDTH, WIDTH);
    Tensor y =
        tape.checkpoint(
                List.of(x), (t, in) -> List.of(block(t, block(t, in.getFirst(), frozen), trained)))
            .getFirst();
    assertThat(y.requiresGrad()).isTrue();
    tape.backward(y, ones(y));
    assertThat(gradients).containsOnlyKeys("trained");
    assertThat(gradients.get("trained")).isNotEqualTo(new float[WIDTH * WIDTH]);
  }

  @Test
  void aSegmentInWhichNothingTrainsIsNotRunAgain() {
    var runs = new AtomicInteger();
    Weight frozen = weight("frozen", false, WIDTH, WIDTH);
    Weight last = weight("last", true, WIDTH, WIDTH);
    Tensor x =
        tape.checkpoint(
                List.of(input()),
                (t, in) -> {
                  runs.incrementAndGet();
                  return List.of(block(t, in.getFirst(), frozen));
                })
            .getFirst();
    assertThat(tape.length()).isZero();
    Tensor y = Project.apply(tape, x, last);
    tape.backward(y, ones(y));
    assertThat(runs).hasValue(1);
    assertThat(gradients).containsOnlyKeys("last");
  }

  @Test
  void aSegmentThatTrainsIsRunTwice() {
    var runs = new AtomicInteger();
    Weight trained = weight("trained", true, WIDTH, WIDTH);
    Tensor y =
        tape.checkpoint(
                List.of(input()),
                (t, in) -> {
                  runs.incrementAndGet();
                  return List.of(block(t, in.getFirst(), trained));
                })
            .getFirst();
    tape.backward(y, ones(y));
    assertThat(runs).hasValue(2);
  }

  /** A frozen layer whose router trains: its hidden state, and its probabilities. */
  private List<Tensor> routed(Tape t, Tensor x, Weight body, Weight gate) {
    return List.of(block(t, x, body), Route.probabilities(t, Project.apply(t, x, gate)));
  }

  @Test
  void aRouterInsideACheckpointedSegmentTrainsThroughTheBalanceLoss() {
    Array x = numbers(model, ROWS, WIDTH);
    Weight body = weight("body", false, WIDTH, WIDTH);
    Weight gate = weight("gate", true, 4, WIDTH);
    List<Tensor> plain = routed(tape, Tensor.constant(x), body, gate);
    balance(plain.get(1));
    float[] wanted = gradients.get("gate");
    assertThat(wanted).isNotEqualTo(new float[4 * WIDTH]);
    restart();
    List<Tensor> checkpointed =
        tape.checkpoint(
            List.of(Tensor.constant(x)), (t, in) -> routed(t, in.getFirst(), body, gate));
    balance(checkpointed.get(1));
    assertThat(gradients.get("gate")).isEqualTo(wanted);
  }

  private void balance(Tensor probabilities) {
    Array chosen = backend.topK(step, probabilities.data(), 2);
    Tensor loss =
        BalanceLoss.apply(
            tape, List.of(probabilities), List.of(chosen), null, BalanceForm.PER_LAYER, 4);
    tape.backward(loss, ones(loss));
  }

  @Test
  void aFreedArrayIsRefused() {
    Tensor x = input();
    step.free(x.data());
    assertThat(x.data().isLive()).isFalse();
    assertThatThrownBy(() -> Activate.apply(tape, Activation.SILU, x))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("freed");
  }

  @Test
  void aGradientOfAnotherShapeIsRefused() {
    Tensor y = Project.apply(tape, input(), weight("w", true, WIDTH, WIDTH));
    Array wrong = step.allocate(DType.F32, ROWS, WIDTH + 1);
    assertThatThrownBy(() -> tape.backward(y, wrong)).isInstanceOf(ShapeException.class);
  }

  @Test
  void aTapeThatIsOffRecordsNothing() {
    Tape off = Tape.off(backend, step);
    Tensor y = Project.apply(off, input(), weight("w", true, WIDTH, WIDTH));
    assertThat(off.length()).isZero();
    assertThat(y.requiresGrad()).isFalse();
  }
}
