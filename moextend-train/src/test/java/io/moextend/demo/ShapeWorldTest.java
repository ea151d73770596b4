package io.moextend.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.config.ConfigException;
import java.awt.Rectangle;
import java.awt.image.BufferedImage;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class ShapeWorldTest {
  private static final long SEED = 7;

  private final ShapeWorld world = new ShapeWorld(SEED);

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 7, -3, Long.MAX_VALUE})
  void everyThingIsEitherTrainedOnOrTested(long seed) {
    ShapeWorld any = new ShapeWorld(seed);
    Set<Scene> all = new HashSet<>(any.trainScenes());
    assertThat(all).hasSize(192).doesNotContainAnyElementsOf(any.testScenes());
    all.addAll(any.testScenes());
    assertThat(all).hasSize(240);
  }

  @ParameterizedTest
  @EnumSource(Question.class)
  void theAnswersOfTheTestAreBalanced(Question question) {
    Map<String, Long> counts = answers(world.testPictures(144), question);
    long most = counts.values().stream().max(Long::compare).orElseThrow();
    long least = counts.values().stream().min(Long::compare).orElseThrow();
    assertThat(most - least).as("%s %s", question, counts).isLessThanOrEqualTo(6);
    assertThat(world.testPictures(144).chance().get(question)).isEqualTo(most / 144.0);
  }

  @Test
  void chanceIsThatOfTheMostFrequentAnswer() {
    Map<Question, Double> chance = world.testPictures(48).chance();
    assertThat(chance.get(Question.COLOUR)).isEqualTo(1.0 / 6);
    assertThat(chance.get(Question.SHAPE)).isEqualTo(1.0 / 4);
    assertThat(chance.get(Question.SIZE)).isEqualTo(1.0 / 2);
    assertThat(chance.get(Question.POSITION)).isBetween(0.2, 0.21);
  }

  @Test
  void trainingPicturesShowEverySceneBeforeOneComesAgain() {
    List<Picture> pictures = world.trainPictures(384).pictures();
    assertThat(Set.copyOf(pictures.subList(0, 192).stream().map(Picture::scene).toList()))
        .hasSize(192);
    assertThat(pictures.stream().map(Picture::noiseSeed).distinct()).hasSize(384);
    assertThat(pictures.stream().map(Picture::file).distinct()).hasSize(384);
  }

  @Test
  void noTestSceneIsOnATrainingPicture() {
    Set<Scene> trained =
        world.trainPictures(400).pictures().stream()
            .map(Picture::scene)
            .collect(Collectors.toSet());
    assertThat(world.testPictures(96).pictures())
        .noneMatch(picture -> trained.contains(picture.scene()));
  }

  @Test
  void moreTestPicturesLeaveTheTrainingPicturesAsTheyWere() {
    PictureSet alone = new ShapeWorld(SEED).trainPictures(30);
    world.testPictures(500);
    assertThat(world.trainPictures(30)).isEqualTo(alone);
    assertThat(new ShapeWorld(SEED + 1).trainPictures(30)).isNotEqualTo(alone);
  }

  @Test
  void eachQuestionComesFirstEquallyOftenInConversations() {
    List<ImageSample> talks = world.trainPictures(200).conversations(SEED);
    Map<String, Long> first =
        talks.stream()
            .collect(
                Collectors.groupingBy(s -> s.turns().getFirst().question(), Collectors.counting()));
    assertThat(first.values()).containsExactly(50L, 50L, 50L, 50L);
    assertThat(talks).allSatisfy(t -> assertThat(t.turns()).doesNotHaveDuplicates().hasSize(4));
  }

  @Test
  void aPictureShowsItsColourAtItsPlaceOnDarkGrey() {
    for (Picture picture : world.trainPictures(192).pictures()) {
      Thing thing = picture.scene().things().getFirst();
      BufferedImage image = ScenePicture.draw(picture.scene(), picture.noiseSeed());
      boolean[] lit = lit(image);
      int count = 0;
      Rectangle box = new Rectangle();
      for (int i = 0; i < lit.length; i++) {
        if (lit[i]) {
          Rectangle pixel = new Rectangle(i % 48, i / 48, 1, 1);
          box = count++ == 0 ? pixel : box.union(pixel);
          assertThat(nearest(image.getRGB(i % 48, i / 48)))
              .as(thing.description())
              .isEqualTo(thing.colour());
        }
      }
      assertThat(isAt(box.getCenterX() - 24, box.getCenterY() - 24, thing))
          .as(thing.description())
          .isTrue();
      int whole = thing.size().pixels() * thing.size().pixels();
      assertThat(count).as(thing.description()).isBetween(whole * 4 / 10, whole * 12 / 10);
    }
  }

  @Test
  void theSameSeedDrawsTheSamePixelsAndAnotherOnesDiffer() {
    Scene scene = world.trainScenes().getFirst();
    assertThat(pixels(scene, 5)).isEqualTo(pixels(scene, 5)).isNotEqualTo(pixels(scene, 6));
  }

  @Test
  void aSceneOfTwoIsDescribedByBothAndNeedsRoom() {
    Thing left = thing(Thing.Size.SMALL, Thing.Shape.CIRCLE, Thing.Position.LEFT);
    Thing right = thing(Thing.Size.SMALL, Thing.Shape.CROSS, Thing.Position.RIGHT);
    assertThat(Scene.of(left, right).description())
        .isEqualTo("a small red circle on the left and a small red cross on the right");
    assertThat(pixels(Scene.of(left, right), 1)).isNotEqualTo(pixels(Scene.of(left), 1));
    Thing top = thing(Thing.Size.SMALL, Thing.Shape.CROSS, Thing.Position.TOP);
    assertThatThrownBy(() -> Scene.of(left, top))
        .hasMessageContaining("of different shape and at opposite sides");
  }

  @Test
  void countsAndSharesOutOfRangeAreRefused() {
    assertThatThrownBy(() -> world.trainPictures(0))
        .isInstanceOf(ConfigException.class)
        .hasMessage("trainPictures=0: draw 1 to 10000");
    assertThatThrownBy(() -> world.text(10, 10, 1.5))
        .isInstanceOf(ConfigException.class)
        .hasMessage("heldOutShare=1.5: must lie between 0 and 1");
  }

  private static Thing thing(Thing.Size size, Thing.Shape shape, Thing.Position position) {
    return new Thing(size, Thing.Colour.RED, shape, position);
  }

  private static boolean isAt(double right, double down, Thing thing) {
    double least = thing.size() == Thing.Size.LARGE ? 5.5 : 11;
    return switch (thing.position()) {
      case LEFT -> right < -least;
      case RIGHT -> right > least;
      case TOP -> down < -least;
      case BOTTOM -> down > least;
      case CENTRE -> Math.abs(right) < 3 && Math.abs(down) < 3;
    };
  }

  private static boolean[] lit(BufferedImage image) {
    boolean[] lit = new boolean[48 * 48];
    for (int i = 0; i < lit.length; i++) {
      int rgb = image.getRGB(i % 48, i / 48);
      lit[i] = Math.max(rgb >> 16 & 255, Math.max(rgb >> 8 & 255, rgb & 255)) > 100;
    }
    return lit;
  }

  private static Thing.Colour nearest(int rgb) {
    return Arrays.stream(Thing.Colour.values())
        .min((a, b) -> Integer.compare(distance(a.rgb(), rgb), distance(b.rgb(), rgb)))
        .orElseThrow();
  }

  private static int distance(int a, int b) {
    int sum = 0;
    for (int shift = 0; shift <= 16; shift += 8) {
      int d = (a >> shift & 255) - (b >> shift & 255);
      sum += d * d;
    }
    return sum;
  }

  private static int[] pixels(Scene scene, long seed) {
    return ScenePicture.draw(scene, seed).getRGB(0, 0, 48, 48, null, 0, 48);
  }

  private static Map<String, Long> answers(PictureSet set, Question question) {
    return set.pictures().stream()
        .map(p -> question.answer(p.scene().things().getFirst()))
        .collect(Collectors.groupingBy(Function.identity(), Collectors.counting()));
  }
}
