package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What does not fit together in a model that is given eyes ends with exit code 2 and is named. */
class BadBunnyTest {
  private static final String TOWER = "model.vision_tower=" + Bunny.TOWER;

  @TempDir Path folder;

  private Bunny bunny;
  private Path base;

  @BeforeEach
  void makeModel() {
    bunny = Bunny.in(folder);
    base = bunny.text("phi3");
  }

  private static void refused(Ran ran, String... named) {
    assertThat(ran.err()).startsWith("moextend: ").contains(named).doesNotContain("\tat ");
    assertThat(ran.err().strip().lines()).hasSize(1);
    assertThat(ran.code()).isEqualTo(2);
  }

  private void refused(String[] settings, String... named) {
    refused(Ran.moextend(bunny.train("alignment", base, folder.resolve("out"), settings)), named);
  }

  private static String[] set(String... settings) {
    return settings;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"tall.png\" | <image> and <image>? | its text has 2 <image> and \"image\" names 1 files",
        "[\"tall.png\", \"wide.png\"] | <image>? | its text has 1 <image> and \"image\" names 2 files",
        "null | <image>? | turn 1 has a place for an image and the sample names none",
      })
  void asManyImagesAsPlaces(String images, String question, String said) {
    Workspace.write(
        bunny.samples(),
        """
        [{"id": "s1", "image": %s, "conversations": [{"from": "human", "value": "%s"},
          {"from": "gpt", "value": "yes"}]}]
        """
            .formatted(images, question));
    refused(set(TOWER), bunny.samples() + ": sample 1 (id s1): " + said);
  }

  @Test
  void aProjectorOfOneScaleIsNoneForThree() {
    Path first = folder.resolve("first");
    Bunny.ran(bunny.train("alignment", base, first, TOWER));
    refused(
        set(TOWER, "model.s2_scales=[28, 56, 84]", "model.projector=" + first.resolve("model")),
        "model.mm_projector.0.weight",
        "reads image features 24 wide, and this model's are 72 wide: 3 scales of a tower 24 wide",
        "train the projector with the tower and the model.s2_scales of this run");
    refused(
        set(TOWER, "model.projector_type=mlp3x_gelu", "model.projector=" + first.resolve("model")),
        "model.projector=" + first.resolve("model"),
        "has nothing for model.mm_projector.4",
        "model.projector_type");
    base = first.resolve("model");
    refused(set("model.s2_scales=[28, 56]"), "model.s2_scales=[28, 56]", "at one scale");
    refused(set("model.projector_type=linear"), "model.projector_type=linear", "mlp2x_gelu");
    refused(set("model.projector=" + base), "a projector already", "model.projector");
    refused(set(TOWER), "a vision tower already", "model.vision_tower");
  }

  @Test
  void aFolderWithoutAProjectorIsNamed() {
    refused(
        set(TOWER, "model.projector=" + base), base.toString(), "holds no tensor of a projector");
  }

  @ParameterizedTest
  @CsvSource({
    "model.projector_type=linear",
    "'model.s2_scales=[28, 56]'",
    "model.image_aspect_ratio=pad"
  })
  void whatIsSaidOfImagesNeedsATower(String setting) {
    refused(set(setting), setting, "name a tower in model.vision_tower");
  }

  @Test
  void anUnknownTemplateIsNamedWithThoseThereAre() {
    refused(
        set(TOWER, "data.conversation_template=phi4"),
        "data.conversation_template=phi4",
        "known are auto, instruct, default, bunny, phi3, minicpm, llama");
    refused(
        Ran.moextend("generate", "--model", base, "--prompt", "what", "--conv-mode", "phi4"),
        "--conv-mode=phi4",
        "known are auto, instruct");
  }

  @Test
  void aTemplateThatTheModelCannotBeSpokenToInIsNamed() {
    refused(
        set(TOWER, "data.conversation_template=instruct"),
        "conversation template instruct",
        "ids of their own");
    refused(
        set(TOWER, "data.conversation_template=llama"),
        "tokenizer.json has no token <|end_of_text|>",
        "conversation template llama");
    refused(
        set(TOWER, "data.conversation_template=qwen"), "conversation template qwen", "train with");
  }

  @Test
  void aModelThatMarksImagesIsNotSpokenToAsIfItDidNot() {
    Workspace work = new Workspace(folder.resolve("marked")).startFrom("vision_align").configured();
    Workspace.Outcome outcome = work.train("alignment", "data.conversation_template=phi3");
    assertThat(outcome.code()).isEqualTo(2);
    assertThat(outcome.err()).contains("conversation template phi3", "take instruct");
  }

  @Test
  void aQuestionHasAsManyImagesAsPlaces() {
    Path model = folder.resolve("out/model");
    Bunny.ran(bunny.train("alignment", base, folder.resolve("out"), TOWER));
    Path image = Bunny.IMAGES.resolve("tall.png");
    refused(
        Ran.moextend(
            "generate",
            "--model",
            model,
            "--prompt",
            "<image>",
            "--image",
            image,
            "--image",
            image),
        "--image",
        "the prompt has 1 <image> and there are 2 images");
    refused(
        Ran.moextend("generate", "--model", model, "--prompt", "<image>?"), "<image>", "images");
    refused(
        Ran.moextend("generate", "--model", base, "--prompt", "what", "--image", image),
        "--image",
        "the model has no vision part");
  }
}
