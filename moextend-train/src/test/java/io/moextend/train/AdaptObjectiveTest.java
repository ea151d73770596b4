package io.moextend.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.HeldTensors;
import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.AdapterMethod;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.TensorData;
import io.moextend.config.T5Config;
import io.moextend.data.Share;
import io.moextend.data.prompted.Mixture;
import io.moextend.data.prompted.PromptTokens;
import io.moextend.data.prompted.PromptedBatch;
import io.moextend.data.prompted.PromptedBatches;
import io.moextend.data.prompted.RowLayout;
import io.moextend.data.prompted.TaskList;
import io.moextend.demo.PromptedWorld;
import io.moextend.model.FreshParameters;
import io.moextend.model.OpenAdapters;
import io.moextend.model.ParameterChoice;
import io.moextend.model.T5;
import io.moextend.model.T5Loss;
import io.moextend.model.T5Loss.Normalizer;
import io.moextend.model.T5Start;
import io.moextend.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A tiny random T5 whose adapters were already trained a little, on prompts. */
class AdaptObjectiveTest {
  private static final long SEED = 11;
  private static final int ROWS = 4;
  private static final int INPUTS = 64;
  private static final int TARGETS = 24;
  private static final double TOLERANCE = 1e-5;
  private static final AdapterConfig MOLORA = AdapterConfig.molora(3, 2);

  @TempDir static Path folder;

  private static Backend backend;
  private static Arena arena;
  private static T5Config shape;
  private static PromptedWorld world;
  private static int unequal;

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  static void open() {
    backend = Backends.open("cpu", new Options(1, 0));
    arena = backend.arena("models");
    world = PromptedWorld.write(folder, SEED, new PromptedWorld.Sizes(4, 12, 2));
    shape = T5Config.v11(PromptedWorld.vocabularySize(), 16, 4, 3, 24, 1, 2);
    unequal = unequal();
  }

  @AfterAll
  static void close() {
    arena.close();
    backend.close();
  }

  /** A model and its adapters. */
  private record Model(T5 t5, OpenAdapters sites, AdapterConfig config) implements AutoCloseable {
    @Override
    public void close() {
      t5.close();
      sites.close();
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // closed with the model
  private static Model model(AdapterConfig config) {
    var trained = new TreeMap<String, TensorData>();
    var random = new Random(SEED);
    try (OpenAdapters sites =
            OpenAdapters.of(config, null, backend, DType.F32, ParameterChoice.ALL, SEED);
        T5 fresh = t5(sites)) {
      for (Parameter p : fresh.parameters()) {
        if (p.role() == Parameter.Role.ADAPTER) {
          float[] values = new float[Math.toIntExact(p.size())];
          for (int i = 0; i < values.length; i++) {
            values[i] = (float) (0.3 * random.nextGaussian());
          }
          trained.put(p.name(), TensorData.of(p.name(), p.shape(), values));
        }
      }
    }
    OpenAdapters sites =
        OpenAdapters.of(
            config, new HeldTensors(trained), backend, DType.F32, ParameterChoice.ALL, SEED);
    return new Model(t5(sites), sites, config);
  }

  private static T5 t5(OpenAdapters sites) {
    var start = new T5Start(shape);
    return new T5(
        new FreshParameters(backend, arena, DType.F32, ParameterChoice.NONE, start, SEED),
        shape,
        sites);
  }

  private static AdaptObjective objective(
      Model model,
      T5Loss loss,
      boolean checkpointing,
      double dropout,
      int microBatches,
      int ranks) {
    return new AdaptObjective(
        backend,
        model.t5(),
        loss,
        model.config(),
        new AdaptObjective.Settings(checkpointing, dropout, SEED, microBatches, ranks));
  }

  /** This rank's rows of a micro-batch whose halves have not the same number of examples. */
  private static PromptedBatch rows(RowLayout.Kind kind, int rank, int ranks) {
    return first(kind, rank, ranks).get(unequal);
  }

  private static int unequal() {
    List<PromptedBatch> left = first(RowLayout.Kind.PACKED, 0, 2);
    List<PromptedBatch> right = first(RowLayout.Kind.PACKED, 1, 2);
    return IntStream.range(0, left.size())
        .filter(i -> left.get(i).examples().size() != right.get(i).examples().size())
        .findFirst()
        .orElseThrow();
  }

  private static List<PromptedBatch> first(RowLayout.Kind kind, int rank, int ranks) {
    try (Tokenizer tokenizer = Tokenizer.open(world.tokenizer());
        Mixture mixture = Mixture.open(TaskList.read(world.adaptation(), null), folder);
        PromptedBatches batches =
            new PromptedBatches(
                mixture,
                new PromptTokens(tokenizer, shape.vocab(), INPUTS, TARGETS),
                new RowLayout(kind, INPUTS, TARGETS),
                new Share(ROWS / ranks, rank, ranks),
                SEED,
                1)) {
      return Stream.generate(batches::next).limit(12).toList();
    }
  }

  private static Losses backpropagate(
      AdaptObjective objective, PromptedBatch batch, double scale, Map<String, double[]> into) {
    return objective.backpropagate(
        (parameter, gradient) -> {
          try (Arena host = backend.arena("gradient")) {
            float[] values = backend.toFloats(host, gradient);
            double[] sum = into.computeIfAbsent(parameter.name(), n -> new double[values.length]);
            for (int i = 0; i < values.length; i++) {
              sum[i] += values[i];
            }
          }
        },
        batch,
        scale);
  }

  private static void requireSame(Map<String, double[]> got, Map<String, double[]> wanted) {
    assertThat(got.keySet()).isEqualTo(wanted.keySet()).hasSizeGreaterThan(20);
    wanted.forEach(
        (name, values) ->
            assertThat(distance(got.get(name), values)).as(name).isLessThan(TOLERANCE));
  }

  private static double distance(double[] got, double[] wanted) {
    double difference = 0;
    double whole = 0;
    for (int i = 0; i < wanted.length; i++) {
      difference += (got[i] - wanted[i]) * (got[i] - wanted[i]);
      whole += wanted[i] * wanted[i];
    }
    assertThat(whole).isPositive();
    return Math.sqrt(difference / whole);
  }

  @ParameterizedTest
  @EnumSource(Normalizer.class)
  void halvesOfTheRowsOnTwoRanksGiveTheGradientOfAllOnOne(Normalizer normalizer) {
    for (RowLayout.Kind kind : List.of(RowLayout.Kind.PACKED, RowLayout.Kind.LONGEST)) {
      PromptedBatch all = rows(kind, 0, 1);
      List<PromptedBatch> halves = Stream.of(0, 1).map(rank -> rows(kind, rank, 2)).toList();
      try (Model model = model(MOLORA)) {
        var loss = new T5Loss(normalizer, 1e-2, 0.1);
        var alone = new TreeMap<String, double[]>();
        Losses one = backpropagate(objective(model, loss, false, 0, 1, 1), all, 1, alone);
        var together = new TreeMap<String, double[]>();
        var two = new ArrayList<Losses>();
        for (PromptedBatch half : halves) {
          two.add(backpropagate(objective(model, loss, false, 0, 1, 2), half, 0.5, together));
        }
        requireSame(together, alone);
        Losses mean = Losses.mean(two);
        assertThat(mean.loss()).isCloseTo(one.loss(), within(one.loss()));
        assertThat(mean.lmLoss()).isCloseTo(one.lmLoss(), within(one.lmLoss()));
        assertThat(mean.tokens()).isEqualTo(one.tokens());
        assertThat(mean.samples()).isEqualTo(one.samples());
      }
    }
  }

  private static Offset<Double> within(double value) {
    return Offset.offset(TOLERANCE * Math.abs(value));
  }

  /** The sum stays the sum however many micro-batches it is collected in. */
  @Test
  void aSumIsTheSameInOneMicroBatchOrInTwo() {
    try (Model model = model(MOLORA)) {
      var loss = new T5Loss(Normalizer.NONE, 1e-4, 0);
      var once = new TreeMap<String, double[]>();
      backpropagate(
          objective(model, loss, false, 0, 1, 1), rows(RowLayout.Kind.PACKED, 0, 1), 1, once);
      var twice = new TreeMap<String, double[]>();
      for (int half = 0; half < 2; half++) {
        PromptedBatch rows = rows(RowLayout.Kind.PACKED, half, 2);
        backpropagate(objective(model, loss, false, 0, 2, 1), rows, 0.5, twice);
      }
      requireSame(twice, once);
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 0.3})
  void checkpointingGivesTheSameGradients(double dropout) {
    AdapterConfig noisy =
        new AdapterConfig(AdapterMethod.MOLORA, 3, 2, 16, 2, 0.2, 0.1, 0.1, MOLORA.sites(), 0.02);
    PromptedBatch batch = rows(RowLayout.Kind.PACKED, 0, 1);
    try (Model model = model(noisy)) {
      var kept = new TreeMap<String, double[]>();
      Losses first =
          backpropagate(objective(model, T5Loss.PUBLISHED, false, dropout, 1, 1), batch, 1, kept);
      var again = new TreeMap<String, double[]>();
      Losses second =
          backpropagate(objective(model, T5Loss.PUBLISHED, true, dropout, 1, 1), batch, 1, again);
      requireSame(again, kept);
      assertThat(second).isEqualTo(first);
    }
  }

  /**
   * They are added to what is minimised, and reach what is before a router only through it; the
   * last decoder layer's output product is behind all routers but its own.
   */
  @Test
  void routersHaveLossesOfTheirOwnAndEvaluationDrawsNothing() {
    AdapterConfig balanced =
        new AdapterConfig(AdapterMethod.MOLORA, 3, 2, 16, 0, 0.2, 0.5, 0.1, MOLORA.sites(), 0.02);
    PromptedBatch batch = rows(RowLayout.Kind.PACKED, 0, 1);
    var plain = new TreeMap<String, double[]>();
    var with = new TreeMap<String, double[]>();
    Losses without;
    Losses added;
    try (Model model = model(MOLORA)) {
      AdaptObjective objective = objective(model, T5Loss.PUBLISHED, false, 0, 1, 1);
      without = backpropagate(objective, batch, 1, plain);
      assertThat(without.auxLoss()).isZero();
      assertThat(objective.evaluate(batch).loss()).isCloseTo(without.loss(), within(1));
    }
    AdapterConfig still =
        new AdapterConfig(AdapterMethod.MOLORA, 3, 2, 16, 0, 0, 0.5, 0.1, MOLORA.sites(), 0.02);
    try (Model model = model(still)) {
      added = backpropagate(objective(model, T5Loss.PUBLISHED, false, 0, 1, 1), batch, 1, with);
    }
    assertThat(added.auxLoss()).isGreaterThan(0.5);
    assertThat(added.lmLoss()).isCloseTo(without.lmLoss(), within(1));
    assertThat(added.loss()).isCloseTo(without.loss() + added.auxLoss(), within(10));
    Predicate<String> last = name -> name.startsWith("decoder.block.1.layer.2.DenseReluDense.wo.");
    List<String> products =
        plain.keySet().stream().filter(last).filter(name -> name.contains("lora_")).toList();
    assertThat(products).hasSize(2);
    for (String name : products) {
      assertThat(distance(with.get(name), plain.get(name))).as(name).isLessThan(TOLERANCE);
    }
    for (String name : plain.keySet()) {
      if (name.endsWith("router.kernel")) {
        assertThat(distance(with.get(name), plain.get(name))).as(name).isGreaterThan(1e-3);
      }
    }
    try (Model model = model(balanced)) {
      AdaptObjective objective = objective(model, T5Loss.PUBLISHED, true, 0.3, 1, 1);
      assertThat(objective.evaluate(batch).loss()).isCloseTo(added.loss(), within(10));
      assertThat(objective.evaluate(batch)).isEqualTo(objective.evaluate(batch));
    }
  }
}
