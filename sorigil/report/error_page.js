// One column's slices at a time; without a script all stand below each other.
{
  const chooser = document.getElementById("column");
  if (chooser) {
    const tables = [...document.querySelectorAll(".by-column")];
    const column = (table) => table.querySelector("caption").dataset.column;
    const show = () => { for (const each of tables) each.hidden = column(each) !== chooser.value; };
    chooser.addEventListener("change", show);
    chooser.parentElement.hidden = false;
    show();
  }
}
