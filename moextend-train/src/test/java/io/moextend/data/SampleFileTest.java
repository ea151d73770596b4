package io.moextend.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.data.Sample.Role;
import io.moextend.text.Part;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SampleFileTest {
  @TempDir Path folder;
  private Path data;

  @BeforeEach
  void anImageFolder() throws IOException {
    data = folder.resolve("data.json");
    Files.createDirectories(folder.resolve("images/sub"));
    Files.write(folder.resolve("images/a.jpg"), new byte[] {1});
    Files.write(folder.resolve("images/sub/b.png"), new byte[] {1});
    Files.write(folder.resolve("secret.txt"), new byte[] {1});
  }

  private List<Sample> read(String json, KeptTurns kept) throws IOException {
    Files.writeString(data, json);
    List<Sample> samples = new ArrayList<>();
    ImageRoot images = new ImageRoot(folder.resolve("images"));
    try (SampleFile file = SampleFile.open(data, kept, images)) {
      for (int i = 0; i < file.size(); i++) {
        samples.add(file.read(i));
      }
    }
    return samples;
  }

  private void refused(String json, String message) {
    assertThatThrownBy(() -> read(json, KeptTurns.ALL))
        .isInstanceOf(DataException.class)
        .hasMessage(message.replace("DATA", data.toString()).replace("DIR", folder.toString()));
  }

  private static String turns(String... fromAndValue) {
    List<String> turns = new ArrayList<>();
    for (int i = 0; i < fromAndValue.length; i += 2) {
      turns.add(
          "{\"from\": \"%s\", \"value\": \"%s\"}".formatted(fromAndValue[i], fromAndValue[i + 1]));
    }
    return "\"conversations\": [" + String.join(", ", turns) + "]";
  }

  @Test
  void bothFormatsMayStandInOneFile() throws IOException {
    List<Sample> samples =
        read(
            "[{\"id\": \"x\", \"image\": \"a.jpg\", %s},\n {%s},\n {\"id\": 7, %s}]"
                .formatted(
                    turns("human", "What?\\n<image>", "gpt", "A."),
                    turns("user", "<image>./sub/b.png</image> ü 🚀?", "assistant", "B."),
                    turns("human", "Hi", "gpt", "Ho", "human", "And?", "gpt", "So.")),
            KeptTurns.ALL);
    assertThat(samples).hasSize(3);
    assertThat(samples.get(0).turns().getFirst().parts())
        .containsExactly(new Part.Words("What?\n"), new Part.Image("a.jpg"));
    assertThat(samples.get(1).turns().getFirst().parts())
        .containsExactly(new Part.Image("./sub/b.png"), new Part.Words(" ü 🚀?"));
    assertThat(samples.get(2).where()).isEqualTo(data + ": sample 3 (id 7)");
    assertThat(samples.get(2).turns().stream().map(Sample.Turn::role))
        .containsExactly(Role.USER, Role.ASSISTANT, Role.USER, Role.ASSISTANT);
  }

  @Test
  void severalImagesAreTakenInOrderAcrossTurns() throws IOException {
    Sample sample =
        read(
                "[{\"image\": [\"a.jpg\", \"sub/b.png\"], %s}]"
                    .formatted(turns("human", "<image> one", "gpt", "A", "human", "two <image>")),
                KeptTurns.ALL)
            .getFirst();
    assertThat(sample.images()).containsExactly("a.jpg", "sub/b.png");
    assertThat(sample.turns().get(2).images()).containsExactly("sub/b.png");
  }

  @Test
  void jsonLinesAndPrettyObjectsAndAByteOrderMarkAreRead() throws IOException {
    String one = "{" + turns("human", "Grüße", "gpt", "A") + "}";
    for (String json :
        List.of(
            one + "\n" + one + "\n",
            one + "\n\n  " + one.replace(",", ",\n "),
            "\ufeff[" + one + "," + one + "]")) {
      List<Sample> samples = read(json, KeptTurns.ALL);
      assertThat(samples).hasSize(2);
      assertThat(samples.get(1).turns().getFirst().parts())
          .containsExactly(new Part.Words("Grüße"));
    }
  }

  @Test
  void thePublishedPreparationKeepsTheFirstQuestionAndAnswer() throws IOException {
    String json = "[{%s}]".formatted(turns("human", "1", "gpt", "2", "human", "3", "gpt", "4"));
    assertThat(read(json, KeptTurns.FIRST_ONLY).getFirst().turns()).hasSize(2);
    assertThat(read(json, KeptTurns.ALL).getFirst().turns()).hasSize(4);
  }

  @Test
  void goldenFilesAreRead() {
    ImageRoot photos = new ImageRoot(Golden.path("real/photos"));
    try (SampleFile file =
        SampleFile.open(Golden.path("real/llava_photos.json"), KeptTurns.ALL, photos)) {
      assertThat(file.size()).isEqualTo(16);
      assertThat(file.read(6).turns()).hasSize(6);
      assertThat(file.read(14).images()).isEmpty();
    }
    ImageRoot tiny = new ImageRoot(Golden.path("moextend/data"));
    try (SampleFile file =
        SampleFile.open(Golden.path("moextend/data/train.json"), KeptTurns.ALL, tiny)) {
      assertThat(file.size()).isEqualTo(4);
      assertThat(file.read(1).images()).containsExactly("i1.png");
    }
  }

  @Test
  void wrongSamplesAreNamedWithTheMend() {
    String good = "{" + turns("human", "Hi", "gpt", "Ho") + "}";
    refused(
        "[%s, {\"id\": \"q\", %s}]".formatted(good, turns("human", "Hi", "robot", "Ho")),
        "DATA: sample 2 (id q): turn 2 is from \"robot\"; known are user, human, assistant, gpt");
    refused(
        "[{\"id\": \"q\", %s}]".formatted(turns("gpt", "Hi")),
        "DATA: sample 1 (id q): its first turn is the assistant's; begin with the user's");
    refused(
        "[{\"id\": \"q\", \"image\": \"a.jpg\", %s}]".formatted(turns("human", "Hi", "gpt", "Ho")),
        "DATA: sample 1 (id q): its text has 0 <image> and \"image\" names 1 files; make them as"
            + " many");
    refused(
        "[{\"image\": [\"a.jpg\", \"a.jpg\"], %s}]".formatted(turns("human", "<image>")),
        "DATA: sample 1: its text has 1 <image> and \"image\" names 2 files; make them as many");
    refused(
        "[{%s}]".formatted(turns("human", "<image> what?")),
        "DATA: sample 1: turn 1 has a place for an image and the sample names none; add"
            + " \"image\", or write <image>path</image>");
    refused(
        "[{\"image\": \"a.jpg\", %s}]".formatted(turns("human", "<image>a.jpg</image>")),
        "DATA: sample 1: turn 1 has </image> although \"image\" names the files; use one way of"
            + " the two");
    refused(
        "[{\"image\": 3, %s}]".formatted(turns("human", "<image>")),
        "DATA: sample 1: \"image\" is 3; it must be a file name or a list of them");
    refused(
        "[{\"id\": \"q\", \"conversations\": []}]",
        "DATA: sample 1 (id q): it has no \"conversations\"; add a list of turns, or take the"
            + " sample out");
    refused(
        "[{\"conversations\": [{\"from\": \"human\", \"value\": 5}]}]",
        "DATA: sample 1: a turn's \"value\" is 5; it must be text");
    refused(
        "[{\"conversations\": [{\"from\": \"human\"}]}]",
        "DATA: sample 1: a turn's \"value\" is missing; it must be text");
    refused(
        "[{%s}]".formatted(turns("human", "x", "gpt", "<image>a.jpg</image>")),
        "DATA: sample 1: the assistant's turn holds an image; images belong to the user's turns");
  }

  @Test
  void wrongFilesAreNamedWithTheMend() {
    refused("[]", "DATA has no samples; is it the right file?");
    refused("", "DATA has no samples; is it the right file?");
    refused(
        "[1]",
        "DATA: sample 1: it is no JSON object; a file is a list of objects, or one object a line");
    String good = "{" + turns("human", "Hi", "gpt", "Ho") + "}";
    refused(
        "[" + good + "] 5",
        "DATA has something behind its list, or its list has no end; mend its end");
    assertThatThrownBy(() -> read("[" + good + ",\n {\"id\" 5}]", KeptTurns.ALL))
        .hasMessageStartingWith(data + ": sample 2: it is no JSON")
        .hasMessageContaining("(line 2)");
    assertThatThrownBy(() -> read("[" + good, KeptTurns.ALL))
        .hasMessageStartingWith(data + ": sample 2: it is no JSON");
  }

  @Test
  void imagePathsStayBelowTheirFolder() throws IOException {
    refused(
        "[{\"id\": \"q\", \"image\": \"../secret.txt\", %s}]".formatted(turns("human", "<image>")),
        "DATA: sample 1 (id q): the image path ../secret.txt leaves the image folder DIR/images;"
            + " move the file into it");
    refused(
        "[{%s}]".formatted(turns("human", "<image>/etc/passwd</image>")),
        "DATA: sample 1: the image path /etc/passwd leaves the image folder DIR/images; move the"
            + " file into it");
    refused(
        "[{\"image\": \"gone.jpg\", %s}]".formatted(turns("human", "<image>")),
        "DATA: sample 1: the image gone.jpg is missing below DIR/images; check the image folder");
    refused(
        "[{\"image\": \"https://x.org/a.jpg\", %s}]".formatted(turns("human", "<image>")),
        "DATA: sample 1: the image https://x.org/a.jpg is on a network; fetch it first and name"
            + " the file");
    Files.createSymbolicLink(folder.resolve("images/link.jpg"), folder.resolve("secret.txt"));
    refused(
        "[{\"image\": \"link.jpg\", %s}]".formatted(turns("human", "<image>")),
        "DATA: sample 1: the image path link.jpg is a link that leaves the image folder DIR/images;"
            + " move the file into it or allow links");
    assertThat(new ImageRoot(folder.resolve("images"), true).resolve("link.jpg"))
        .isEqualTo(folder.resolve("images/link.jpg"));
  }

  @Test
  void aFileOfManySamplesIsReadByPlace() throws IOException {
    StringBuilder json = new StringBuilder("[");
    for (int i = 0; i < 5000; i++) {
      String text = turns("human", "Frage " + i + " ö".repeat(i % 50), "gpt", "x");
      json.append(i == 0 ? "" : ",")
          .append("{\"id\": ")
          .append(i)
          .append(", ")
          .append(text)
          .append('}');
    }
    Files.writeString(data, json.append(']'));
    try (SampleFile file = SampleFile.open(data, KeptTurns.ALL, null)) {
      for (int i : new int[] {4999, 0, 2500, 1023, 1024}) {
        assertThat(file.read(i).id()).isEqualTo(Integer.toString(i));
        assertThat(file.read(i).number()).isEqualTo(i + 1);
      }
    }
  }
}
