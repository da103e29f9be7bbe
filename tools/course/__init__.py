"""The course kit, made from the chapters: notebooks for students and instructors, slides, a syllabus.

make course               writes _build/course (python -m course, with tools/ on PYTHONPATH)
make course-check         runs the notebooks with solutions from top to bottom

    library    the chapters; plain_markdown writes their texts as Colab and JupyterLab show them
    blocks     splits MyST text at its directives
    exercises  an exercise of a chapter: statement, stub, check, solution
    editions   the notebooks: student, solution, instructor
    hidden     the tests that only the instructor edition has
    notes      a page for the instructor beside each notebook
    slides     the marked cells of a chapter as slides; deck makes one HTML file of them
    syllabus   minutes of the chapters, as a directive for book/instructors
    check      executes what was written
"""
